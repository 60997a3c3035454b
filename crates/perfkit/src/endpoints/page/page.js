// The page of a service's figures. It is told the last three minutes when it opens and then one point a second, and
// draws them.
"use strict";

(() => {
  const KEPT = 181; // points
  const byId = (id) => document.getElementById(id);
  const state = { newest: null, points: [], shown: [], paused: false, hover: null, flames: [], zoom: null, sort: {} };

  // ---- making elements ----

  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child != null && child !== false));
    return node;
  }

  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  // ---- figures as people read them ----

  const NONE = "–";

  function seconds(value) {
    if (value == null || Number.isNaN(value)) return NONE;
    if (value === 0) return "0 ms";
    if (value < 1e-3) return `${digits(value * 1e6)} µs`;
    if (value < 1) return `${digits(value * 1e3)} ms`;
    if (value < 120) return `${digits(value)} s`;
    return `${digits(value / 60)} min`;
  }

  function digits(value) {
    if (value >= 100) return Math.round(value).toLocaleString("en");
    if (value >= 10) return value.toFixed(1).replace(/\.0$/, "");
    return value.toFixed(2).replace(/\.?0+$/, "") || "0";
  }

  function count(value) {
    if (value == null || Number.isNaN(value)) return NONE;
    if (value >= 1e6) return `${digits(value / 1e6)} M`;
    if (value >= 1e4) return `${digits(value / 1e3)} k`;
    return Number.isInteger(value) ? value.toLocaleString("en") : digits(value);
  }

  const percent = (value) => (value == null ? NONE : `${digits(value * 100)} %`);
  const rate = (value) => (value == null ? NONE : `${count(value)}/s`);

  function span(total) {
    const [days, hours, minutes] = [86400, 3600, 60].map((unit) => Math.floor(total / unit));
    if (days) return `${days} d ${hours % 24} h`;
    if (hours) return `${hours} h ${minutes % 60} min`;
    const rest = Math.floor(total % 60);
    if (!minutes) return `${rest} s`;
    return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  }

  // ---- charts ----

  class Chart {
    constructor(name, title, series, options) {
      Object.assign(this, { name, title, series, options });
      this.values = new Map();
      const legend = el("dl", { class: "legend" });
      for (const { key, label, colour } of series) {
        const value = el("dd", {}, NONE);
        const row = el("div", {}, el("dt", {}, label), value);
        row.style.setProperty("--colour", `var(--${colour})`);
        legend.append(row);
        this.values.set(key, value);
      }
      this.svg = svg("svg", { "aria-hidden": "true" });
      this.plot = el("div", {
        class: "plot", role: "slider", tabindex: "0", "aria-label": `${title}, moment shown`,
        "aria-valuemin": -KEPT, "aria-valuemax": 0, "aria-valuenow": 0, "aria-valuetext": "now",
        onpointermove: (event) => this.point(event), onpointerleave: () => hover(null),
        onkeydown: (event) => this.key(event), onblur: () => hover(null),
      }, this.svg);
      const card = document.querySelector(`[data-chart="${name}"]`);
      card.append(el("div", { class: "chart" }, legend, this.plot));
      new ResizeObserver(() => this.draw()).observe(this.plot);
    }

    point(event) {
      const box = this.plot.getBoundingClientRect();
      const inside = (event.clientX - box.left - this.left) / (box.width - this.left);
      const ago = Math.round((1 - inside) * (KEPT - 1));
      hover(ago >= 0 && ago < state.shown.length ? ago : null);
    }

    key(event) {
      const ago = state.hover ?? 0;
      const next = { ArrowLeft: ago + 1, ArrowRight: ago - 1, PageUp: ago + 10, PageDown: ago - 10, Home: KEPT, End: 0, Escape: 0 }[event.key];
      if (next == null) return;
      event.preventDefault();
      hover(Math.max(0, Math.min(next, state.shown.length - 1)) || null);
    }

    value(ago, key) {
      return state.shown[state.shown.length - 1 - ago]?.[this.name]?.[key] ?? null;
    }

    draw() {
      const { width, height } = this.plot.getBoundingClientRect();
      if (!width || this.plot.closest("[hidden]")) return;
      const shown = this.series.filter(({ hidden }) => !hidden);
      const all = state.shown.flatMap((p) => shown.map(({ key }) => p[this.name]?.[key])).filter((v) => v != null);
      const top = this.options.top ?? nice(Math.max(...all, this.options.least ?? 0) * 1.08);
      const format = this.options.format;
      this.left = 52;
      const [base, right] = [height - 20, width - 6];
      const x = (ago) => right - (ago / (KEPT - 1)) * (right - this.left);
      const y = (value) => base - (Math.min(value, top) / top) * (base - 8);
      const parts = [];
      for (const share of [0, 0.5, 1]) {
        const level = y(share * top);
        parts.push(svg("line", { class: "grid", x1: this.left, x2: right, y1: level, y2: level }));
        parts.push(svg("text", { x: this.left - 8, y: level + 4, "text-anchor": "end" }, format(share * top)));
      }
      for (const [ago, anchor] of [[KEPT - 1, "start"], [90, "middle"], [0, "end"]]) {
        const label = ago ? `−${span(Math.round(ago * state.refresh))}` : "now";
        parts.push(svg("text", { x: x(ago), y: height - 4, "text-anchor": anchor }, label));
      }
      if (!all.length) parts.push(svg("text", { class: "empty", x: (this.left + right) / 2, y: base / 2 }, this.options.empty));
      for (const one of shown) parts.push(...this.line(one, x, y, base));
      if (state.hover != null) parts.push(svg("line", { class: "cursor", x1: x(state.hover), x2: x(state.hover), y1: 8, y2: base }));
      for (const { key, colour } of shown) {
        const value = this.value(state.hover ?? 0, key);
        if (value == null) continue;
        const dot = svg("circle", { class: "dot", cx: x(state.hover ?? 0), cy: y(value), r: 4 });
        dot.style.setProperty("--colour", `var(--${colour})`);
        parts.push(dot);
      }
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.svg.replaceChildren(...parts);
      this.tell();
    }

    // One series, broken where there is nothing to draw.
    line({ key, colour, area, dashed }, x, y, base) {
      const runs = [];
      let run = [];
      for (let ago = state.shown.length - 1; ago >= 0; ago--) {
        const value = this.value(ago, key);
        if (value != null) run.push([x(ago), y(value)]);
        if ((value == null || ago === 0) && run.length) {
          runs.push(run);
          run = [];
        }
      }
      return runs.flatMap((run) => {
        const path = run.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join("L");
        const line = svg("path", { class: dashed ? "line dashed" : "line", d: `M${path}` });
        const below = area && svg("path", { class: "area", d: `M${run[0][0]},${base}L${path}L${run.at(-1)[0]},${base}Z` });
        for (const part of [below, line]) part?.style.setProperty("--colour", `var(--${colour})`);
        return below ? [below, line] : [line];
      });
    }

    tell() {
      const ago = state.hover ?? 0;
      const told = this.series.map(({ key, label, format }) => {
        const text = (format ?? this.options.format)(this.value(ago, key));
        setText(this.values.get(key), text);
        return `${label} ${text}`;
      });
      const moment = ago ? `${span(ago * state.refresh)} ago` : "now";
      this.plot.setAttribute("aria-valuenow", -ago);
      this.plot.setAttribute("aria-valuetext", `${moment}: ${told.join(", ")}`);
    }
  }

  // The next round number.
  function nice(value) {
    if (!(value > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
  }

  const line = (key, label, colour, more) => ({ key, label, colour, ...more });
  const whole = (value) => (value == null ? NONE : count(Math.round(value)));
  const level = (value) => (value == null ? NONE : count(value));
  const charts = [
    new Chart("latency", "Latency", [line("p50", "p50", "one", { area: true }), line("p95", "p95", "two"), line("p99", "p99", "three")], { format: seconds, empty: "no requests yet" }),
    new Chart("throughput", "Throughput", [line("requests", "requests", "one", { area: true })], { format: rate, least: 1, empty: "no requests yet" }),
    new Chart("hits", "Cache hit rate", [line("all", "all caches", "one", { area: true })], { format: percent, top: 1, empty: "no reads" }),
    new Chart("pools", "Pool use", [line("used", "in use", "one", { area: true }), line("limit", "limit", "two", { dashed: true }), line("waiting", "waiting", "three")], { format: level, least: 4, empty: "no pools" }),
    new Chart("wait", "Wait for the pool", [line("mean", "mean wait", "two", { area: true })], { format: seconds, empty: "nobody asked" }),
  ];

  let drawing = false;
  function redraw() {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      charts.forEach((chart) => chart.draw());
    });
  }

  function hover(ago) {
    if (state.hover === ago) return;
    state.hover = ago;
    redraw();
  }

  // ---- tiles and health ----

  function tile(name, text, tone) {
    const node = document.querySelector(`[data-tile="${name}"]`);
    const [figure, unit] = text.split(/(?<=\d) (?=\D)/);
    node.querySelector("dd").replaceChildren(figure, unit ? el("small", {}, ` ${unit}`) : "");
    node.dataset.tone = tone ?? "";
  }

  function showTiles(stats, now) {
    const open = stats.breakers.filter((part) => part.status === "unhealthy").length;
    const { used, limit, waiting } = now.pools;
    tile("throughput", now.throughput.requests == null ? NONE : `${count(now.throughput.requests)} per s`);
    tile("p99", seconds(now.latency.p99));
    tile("hits", percent(now.hits.all));
    tile("pools", limit == null ? NONE : `${used} of ${limit}`, waiting > 0 ? "warn" : "");
    tile("breakers", stats.breakers.length ? `${open} of ${stats.breakers.length}` : NONE, open ? "bad" : "");
    tile("findings", String(stats.findings.length), stats.findings.length ? "warn" : "");
  }

  const title = (kind) => kind.replaceAll("_", " ");

  function showHealth({ status, parts }) {
    const pill = byId("health");
    if (pill.dataset.status !== status) {
      pill.dataset.status = status;
      pill.textContent = status;
      document.title = `Performance: ${status}`;
    }
    byId("trouble").hidden = !parts.length;
    update(byId("trouble-list"), parts, (part) => el("li", {},
      el("span", { class: "pill", "data-status": part.status }, part.status),
      el("strong", {}, part.name), el("span", {}, `${title(part.kind)}: ${part.reason}`)));
  }

  // Makes the children anew if what they show has changed.
  function update(node, items, make) {
    const shown = JSON.stringify(items);
    if (node.shown === shown) return;
    node.shown = shown;
    node.replaceChildren(...items.map(make));
  }

  // ---- breakers ----

  function stateOf(part) {
    if (part.kind !== "circuit_breaker") return part.status === "healthy" ? "fine" : part.reason;
    return part.status === "healthy" ? "closed" : part.reason;
  }

  function says({ kind, figures: f }) {
    const said = [];
    if (f.window_calls === 0) said.push("no calls in its window");
    if (f.window_calls > 0) said.push(`${percent(f.window_failures / f.window_calls)} of ${count(f.window_calls)} calls failed`);
    for (const name of ["rejected", "opened", "refused", "denied", "under_way", "limit", "remaining_calls"]) {
      if (f[name] != null) said.push(`${count(f[name])} ${title(name)}`);
    }
    if (f.hit_rate_percent != null) said.push(`${digits(f.hit_rate_percent)} % hits`);
    return said.length ? `${title(kind)}: ${said.join(", ")}` : title(kind);
  }

  function showBreakers(stats) {
    byId("token").hidden = !stats.actions.length;
    const list = byId("breakers");
    const operations = (part) => stats.actions.find(({ kind, name }) => kind === part.kind && name === part.name);
    const others = [...stats.cache, ...stats.others].filter(operations);
    const parts = [...stats.breakers, ...stats.limiter, ...others];
    const keys = JSON.stringify([parts.map(({ kind, name }) => [kind, name]), stats.actions]);
    if (list.keys !== keys) {
      list.keys = keys;
      list.replaceChildren(...parts.map((part) => el("li", { class: "part" },
        el("strong", {}, part.name), el("span", { class: "pill" }), el("span", { class: "quiet" }),
        el("div", { class: "failed", hidden: part.figures.window_calls == null }, el("span")),
        operations(part) && el("div", { class: "act" }, ...buttons(part, operations(part))))));
      if (!parts.length) list.append(el("li", { class: "none" }, "No breakers and no limits are registered."));
    }
    parts.forEach((part, index) => {
      const [, pill, quiet, failed] = list.children[index].children;
      const { window_calls: calls, window_failures: failures } = part.figures;
      failed.firstChild.style.width = `${calls ? (failures / calls) * 100 : 0}%`;
      pill.dataset.status = part.status;
      setText(pill, stateOf(part));
      setText(quiet, says(part));
    });
  }

  function buttons(part, { actions, actions_of: named }) {
    const button = (action, of) => el("button", {
      type: "button", "aria-label": `${action} ${part.name}`, onclick: () => act(part, action, of?.value),
    }, action);
    const pair = (action) => {
      const of = el("input", { type: "text", "aria-label": `${action} of ${part.name}`, autocomplete: "off", spellcheck: "false" });
      return [of, button(action, of)];
    };
    return [...actions.map((action) => button(action)), ...named.flatMap(pair)];
  }

  async function act({ kind, name }, action, of) {
    if (of === "") {
      byId("acted").textContent = `${action} ${name}: which?`;
      return;
    }
    const path = [kind, name, action, ...(of ? [of] : [])].map(encodeURIComponent).join("/");
    const token = byId("token-field").value;
    const headers = { "x-perfkit-action": "1", ...(token && { authorization: `Bearer ${token}` }) };
    let outcome = "could not be reached";
    try {
      const response = await fetch(`performance/actions/${path}`, { method: "POST", headers });
      outcome = response.ok ? "done" : await response.text();
    } catch { /* The outcome says so. */ }
    byId("acted").textContent = `${[action, of, name].filter(Boolean).join(" ")}: ${outcome}`;
  }

  // ---- tables ----

  const ROUTES = [
    ["name", "Route"], ["requests", "Requests", count], ["p50", "p50", seconds], ["p95", "p95", seconds],
    ["p99", "p99", seconds], ["max", "Longest", seconds], ["max_queries", "Most queries", count], ["total", "Total", seconds],
  ];
  const QUERIES = [
    ["text", "Query"], ["count", "Runs", count], ["p50", "p50", seconds], ["p95", "p95", seconds],
    ["p99", "p99", seconds], ["rows", "Rows", count], ["errors", "Errors", count], ["total", "Total", seconds],
  ];

  function heading([key, label], sort, redo) {
    const order = sort.key === key ? (sort.down ? "descending" : "ascending") : "none";
    const turn = () => {
      sort.down = sort.key === key ? !sort.down : key !== "name" && key !== "text";
      sort.key = key;
      redo();
    };
    return el("th", { scope: "col", "aria-sort": order }, el("button", { type: "button", "data-key": key, onclick: turn }, label));
  }

  function showTable(panel, columns, rows, caption, empty) {
    if (!rows.length) return panel.table ? undefined : panel.replaceChildren(el("p", { class: "none" }, empty));
    const sort = (state.sort[panel.id] ??= { key: "total", down: true });
    const redo = () => {
      const key = sort.key;
      panel.table = null;
      showTable(panel, columns, panel.rows, caption, empty);
      panel.querySelector(`[data-key="${key}"]`)?.focus();
    };
    panel.rows = rows;
    if (!panel.table) {
      const head = el("thead", {}, el("tr", {}, ...columns.map((column) => heading(column, sort, redo))));
      panel.table = { body: el("tbody"), rows: new Map() };
      const table = el("table", { "aria-label": caption }, head, panel.table.body);
      panel.replaceChildren(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table));
    }
    const side = sort.down ? -1 : 1;
    const order = (a, b) => side * (typeof a[sort.key] === "string" ? a[sort.key].localeCompare(b[sort.key]) : a[sort.key] - b[sort.key]);
    const most = Math.max(...rows.map((row) => row.total), 1e-12);
    const [first] = columns[0];
    rows.toSorted(order).forEach((row, index) => {
      const line = panel.table.rows.get(row[first]) ?? addRow(panel.table, columns, row, first);
      columns.forEach(([key, , format], column) => format && setText(line.children[column], format(row[key])));
      line.querySelector(".share").style.width = `${Math.max(0.5, (row.total / most) * 100)}%`;
      const place = panel.table.body.children[index];
      if (place !== line) panel.table.body.insertBefore(line, place ?? null);
    });
  }

  function addRow(table, columns, row, first) {
    const text = row[first];
    const long = text.length > 110;
    const named = first === "name" ? el("span", {}, text)
      : long ? el("details", {}, el("summary", {}, el("code", {}, `${text.slice(0, 100)}…`)), el("pre", {}, text))
      : el("code", {}, text);
    const line = el("tr", {}, el("th", { scope: "row" }, named, el("span", { class: "share" })), ...columns.slice(1).map(() => el("td")));
    table.rows.set(text, line);
    return line;
  }

  function showFindings(findings) {
    const badge = byId("findings-count");
    badge.hidden = !findings.length;
    setText(badge, String(findings.length));
    const panel = byId("panel-findings");
    if (!findings.length) return update(panel, [0], () => el("p", { class: "none" }, "Nothing was found. Requests are judged when they have ended."));
    update(panel, [findings], () => el("div", { class: "findings" }, ...findings.map(finding)));
  }

  function finding(found) {
    const saves = found.avoidable_seconds > 0 && el("span", { class: "quiet" }, `up to ${seconds(found.avoidable_seconds)} avoidable`);
    const unit = found.rule === "Missing index" ? "runs" : "requests";
    const often = found.repeats > 1 ? `${count(found.repeats)} times in one request, ` : "";
    const where = found.function ? ` in ${found.function}` : "";
    return el("article", { class: "finding" },
      el("header", {}, el("h3", {}, `${found.rule}: ${found.route}`), saves),
      el("p", { class: "quiet" }, `${often}${count(found.requests)} ${unit}, ${seconds(found.seconds)} in all${where}`),
      el("pre", { tabindex: "0", "aria-label": "Statement" }, found.statement),
      found.cause && el("p", { class: "quiet" }, "for each row of ", el("code", {}, found.cause)),
      el("p", { class: "cure" }, found.cure));
  }

  // ---- all figures ----

  function flat(figures) {
    return Object.entries(figures).flatMap(([name, value]) => {
      const timed = name.endsWith("seconds") || /_p\d+$/.test(name);
      const format = (v) => (timed && typeof v === "number" ? seconds(v) : count(v));
      if (value === null || typeof value !== "object") return [[title(name), format(value)]];
      if ("p99" in value) return [[`${title(name)}, p50 / p99`, `${seconds(value.p50)} / ${seconds(value.p99)}`], [`${title(name)}, count`, count(value.count)]];
      return Object.entries(value).map(([label, inner]) => [`${title(name)}, ${label}`, format(inner)]);
    });
  }

  function showParts(stats) {
    const panel = byId("panel-parts");
    const parts = [...stats.cache, ...stats.breakers, ...stats.pools, ...stats.limiter, ...stats.others];
    if (!parts.length) return update(panel, [0], () => el("p", { class: "none" }, "No parts are registered."));
    const keys = JSON.stringify(parts.map((part) => [part.kind, part.name, flat(part.figures).map(([name]) => name)]));
    if (panel.keys !== keys) {
      panel.keys = keys;
      panel.replaceChildren(el("div", { class: "figures" }, ...parts.map((part) => el("details", { open: true },
        el("summary", {}, el("strong", {}, part.name), el("span", { class: "quiet" }, title(part.kind)), el("span", { class: "pill" })),
        el("dl", {}, ...flat(part.figures).flatMap(([name]) => [el("dt", {}, name), el("dd")]))))));
    }
    panel.querySelectorAll("details").forEach((details, index) => {
      const pill = details.querySelector(".pill");
      pill.dataset.status = parts[index].status;
      setText(pill, parts[index].reason || parts[index].status);
      const values = flat(parts[index].figures);
      details.querySelectorAll("dd").forEach((node, place) => setText(node, values[place][1]));
    });
  }

  // ---- flame graph ----

  async function loadFlames() {
    try {
      const response = await fetch("performance/flames");
      if (response.ok) state.flames = await response.json();
    } catch { /* The connection's state is told elsewhere. */ }
    showFlames();
  }

  // The paths as a tree, each frame's time with that of its callees.
  function tree() {
    const frames = state.flames.map((frame) => ({ ...frame, time: frame.own, children: [] }));
    for (const frame of [...frames].reverse()) if (frame.parent != null) frames[frame.parent].time += frame.time;
    const root = { name: "all", calls: 0, time: 0, children: [], path: "all" };
    for (const frame of frames) {
      const parent = frame.parent == null ? root : frames[frame.parent];
      frame.path = `${parent.path};${frame.name}`;
      parent.children.push(frame);
      if (parent === root) root.time += frame.time;
      frame.up = parent;
    }
    return root;
  }

  const find = (frame, path) => (frame.path === path ? frame : frame.children.map((child) => find(child, path)).find(Boolean));

  function showFlames() {
    const root = tree();
    const node = byId("flames");
    const focused = document.activeElement?.dataset?.path;
    if (!root.children.length) {
      node.style.height = "auto";
      return node.replaceChildren(el("div", { role: "treeitem", class: "none" }, "No profiled function has been called."));
    }
    const shown = (state.zoom && find(root, state.zoom)) ?? root;
    byId("flame-reset").hidden = shown === root;
    const boxes = [];
    let depth = 0;
    const place = (frame, left, width, level) => {
      depth = Math.max(depth, level);
      boxes.push(box(frame, left, width, level, root, boxes.length === 0));
      let at = left;
      for (const child of frame.children.toSorted((a, b) => b.time - a.time)) {
        const part = frame.time > 0 ? (width * child.time) / frame.time : 0;
        if (part >= 0.15) place(child, at, part, level + 1);
        at += part;
      }
    };
    place(shown, 0, 100, 1);
    node.style.height = `${depth * 1.45}rem`;
    node.replaceChildren(...boxes);
    if (focused) [...node.children].find((box) => box.dataset.path === focused)?.focus();
  }

  function box(frame, left, width, level, root, isFirst) {
    const share = root.time > 0 ? frame.time / root.time : 0;
    const text = frame === root ? `all, ${seconds(root.time)}` : frame.name;
    const label = `${frame.name}, ${percent(share)} of the time, ${seconds(frame.time)}, ${count(frame.calls)} calls`;
    const node = el("div", {
      class: "frame", role: "treeitem", tabindex: isFirst ? "0" : "-1", title: label, "aria-label": label, "aria-level": level,
      "data-path": frame.path, onclick: () => zoom(frame.path), onfocus: () => setText(byId("flame-path"), label),
      onkeydown: (event) => walk(event, frame),
    }, text);
    node.style.left = `${left}%`;
    node.style.width = `${width}%`;
    node.style.top = `${(level - 1) * 1.45}rem`;
    node.style.background = colour(frame.name);
    return node;
  }

  function colour(name) {
    let hash = 7;
    for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 997;
    return `hsl(${18 + (hash % 34)} ${78 + (hash % 15)}% ${70 + (hash % 9)}%)`;
  }

  function zoom(path) {
    state.zoom = path === "all" ? null : path;
    showFlames();
    byId("flames").querySelector(`[tabindex="0"]`)?.focus();
  }

  function walk(event, frame) {
    const boxes = [...byId("flames").children];
    const to = (path) => boxes.find((box) => box.dataset.path === path);
    const sibling = (step) => {
      const siblings = (frame.up?.children ?? []).toSorted((a, b) => b.time - a.time);
      return to(siblings[siblings.indexOf(frame) + step]?.path);
    };
    const moves = {
      ArrowUp: () => to(frame.up?.path), ArrowLeft: () => sibling(-1), ArrowRight: () => sibling(1),
      ArrowDown: () => frame.children.map(({ path }) => to(path)).find(Boolean), Home: () => boxes[0],
    };
    if (event.key === "Enter" || event.key === " ") zoom(frame.path);
    else if (event.key === "Escape") zoom("all");
    else if (moves[event.key]) moves[event.key]()?.focus();
    else return;
    event.preventDefault();
  }

  byId("flame-reset").addEventListener("click", () => zoom("all"));

  // ---- tabs ----

  const tabs = [...document.querySelectorAll("[role=tab]")];

  function choose(tab) {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", chosen);
      other.tabIndex = chosen ? 0 : -1;
      byId(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (tab.id === "tab-flames") loadFlames();
  }

  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const at = tabs.indexOf(tab);
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
      if (next == null) return;
      event.preventDefault();
      choose(tabs[next % tabs.length]);
      tabs[next % tabs.length].focus();
    });
  }

  // ---- what is told ----

  function take(stats) {
    const { point } = stats;
    const last = state.points.at(-1);
    if (last && point.at < last.at) state.points = [];
    if (state.points.at(-1)?.at !== point.at) state.points = [...state.points, point].slice(-KEPT);
    state.refresh = stats.refresh_seconds;
    state.newest = stats;
    if (!state.paused) show(stats);
  }

  function show(stats) {
    state.shown = state.points; // Charts stand still while the page is paused, whoever moves over them.
    setText(byId("uptime"), span(stats.uptime_seconds));
    showTiles(stats, state.points.at(-1));
    showHealth(stats.health);
    showBreakers(stats);
    showTable(byId("panel-routes"), ROUTES, stats.routes, "Routes, by time in total", "No request has ended yet, or no profiler is given.");
    showTable(byId("panel-queries"), QUERIES, stats.queries, "Queries, by time in total", "No query has been seen.");
    showFindings(stats.findings);
    showParts(stats);
    redraw();
  }

  function connection(now, text) {
    const node = byId("connection");
    node.dataset.state = now;
    setText(node, text);
  }

  function listen() {
    const events = new EventSource("performance/events");
    events.onopen = () => connection("live", state.paused ? "paused" : "live");
    events.addEventListener("history", (event) => { state.points = JSON.parse(event.data); });
    events.onmessage = (event) => take(JSON.parse(event.data));
    events.onerror = () => {
      connection("lost", "no connection, trying again");
      // After an answer other than 200 the browser gives up; we do not.
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    };
  }

  byId("pause").addEventListener("click", (event) => {
    state.paused = !state.paused;
    event.target.setAttribute("aria-pressed", state.paused);
    connection(byId("connection").dataset.state, state.paused ? "paused" : "live");
    if (!state.paused && state.newest) show(state.newest);
  });

  // ---- theme ----

  const THEMES = ["auto", "light", "dark"];
  const stored = () => { try { return localStorage.getItem("perfkit-theme"); } catch { return null; } };

  function setTheme(theme) {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    byId("theme").textContent = `Theme: ${theme}`;
    try { localStorage.setItem("perfkit-theme", theme); } catch { /* It holds for this visit. */ }
  }

  let theme = THEMES.includes(stored()) ? stored() : "auto";
  setTheme(theme);
  byId("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    setTheme(theme);
  });

  setInterval(() => {
    if (!state.paused && !byId("panel-flames").hidden) loadFlames();
  }, 5000);
  listen();
})();
