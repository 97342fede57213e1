// Draws the page's plots when they come into view, in the colours of the page, and redraws them when the scheme changes.
(function () {
  "use strict";
  const store = document.getElementById("plots");
  if (!store || typeof Bokeh === "undefined") return;
  Bokeh.set_log_level("warn");
  const { figures, shared, texts, plots, colours } = JSON.parse(store.textContent);
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const narrow = window.matchMedia("(max-width: 640px)");
  const drawn = new Map();

  function painter() {
    const style = getComputedStyle(document.documentElement);
    const real = {};
    for (const [placeholder, variable] of Object.entries(colours)) real[placeholder] = style.getPropertyValue(variable).trim();
    return (value) => (typeof value === "string" && Object.hasOwn(real, value) ? real[value] : value);
  }

  // Walks a figure's JSON: paints placeholders and remembers each part by its id.
  function walk(node, paint, found) {
    if (Array.isArray(node)) {
      for (let i = 0; i < node.length; i++) node[i] = walk(node[i], paint, found);
      return node;
    }
    if (node && typeof node === "object") {
      if (node.type === "object" && node.id) found.set(node.id, node);
      for (const key of Object.keys(node)) node[key] = walk(node[key], paint, found);
      return node;
    }
    return paint(node);
  }

  // Times are sent as the first one and the steps after it.
  function times({ first, unit, steps }) {
    const found = [first];
    for (const step of steps) found.push(found.at(-1) + step * unit);
    return found;
  }

  function column(values, paint) {
    if (typeof values === "string") values = times(shared[values.slice(1)]);
    else if (values.texts) values = values.texts.map((n) => texts[n]);
    else if (values.count) values = new Array(values.count).fill(values.all);
    return values.map((v) => (Array.isArray(v) ? column(v, paint) : v === null ? NaN : paint(v)));
  }

  function remove(element) {
    const views = drawn.get(element);
    if (!views) return;
    const papers = new Set(views.roots.map((view) => view.model.document));
    views.clear();
    for (const paper of papers) Bokeh.documents.splice(Bokeh.documents.indexOf(paper), 1);
    element.replaceChildren();
  }

  async function draw(element) {
    const plot = plots[element.dataset.plot];
    const figure = figures[plot.kind];
    const paint = painter();
    const found = new Map();
    const item = walk(structuredClone(figure.item), paint, found);
    const part = (name) => (found.get(figure.parts[name]).attributes ??= {});
    for (const [name, columns] of Object.entries(plot.columns)) {
      const entries = Object.entries(columns).map(([key, values]) => [key, column(values, paint)]);
      part(name).data = { type: "map", entries };
    }
    for (const [name, settings] of Object.entries(plot.settings)) Object.assign(part(name), settings);
    if (narrow.matches && plot.kind === "heat") {
      const labels = part("axis").major_label_overrides;
      labels.entries = labels.entries.map(([at, text]) => [at, text.length > 15 ? text.slice(0, 14) + "…" : text]);
    }
    if (figure.clock) {
      (found.get(figure.clock).attributes ??= {}).desired_num_ticks = Math.max(2, Math.min(9, Math.floor((element.clientWidth - 60) / 85)));
    }
    const root = found.get(item.root_id).attributes;
    if (coarse) root.toolbar.attributes.active_drag = null;  // a finger scrolls the page
    if (narrow.matches && plot.kind === "accuracy") root.height = 260;
    if (narrow.matches) element.style.minHeight = root.height + "px";
    remove(element);
    const views = await Bokeh.embed.embed_item(item, element);
    drawn.set(element, views);
    element.dataset.drawn = "yes";
  }

  let queue = Promise.resolve();
  const wanted = (element) => (queue = queue.then(() => draw(element)).catch((e) => console.error("plot", element.dataset.plot, e)));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      wanted(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const element of document.querySelectorAll("[data-plot]")) {
    const { kind, settings } = plots[element.dataset.plot];
    element.style.minHeight = (settings.figure?.height ?? figures[kind].height) + "px";  // nothing moves when it is drawn
    watcher.observe(element);
  }
  scheme.addEventListener("change", () => { for (const element of drawn.keys()) wanted(element); });
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named && named.tagName === "DETAILS") named.open = true;
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details.field")) details.open = true;
  });
})();
