"""How often the right cause of a fall in accuracy is ranked first: 30 seeded worlds with one known cause each."""
