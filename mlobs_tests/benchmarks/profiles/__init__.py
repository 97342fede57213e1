"""What profiles cost, beside the floor (count, min, max of every column in one query) and beside the peers. Run on demand."""
