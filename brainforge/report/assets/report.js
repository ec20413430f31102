"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const root = document.documentElement;
  const config = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    displayModeBar: "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  };

  /* arrays: base64 of little-endian numbers, given back as value = raw * scale + offset */
  const types = { u1: [Uint8Array, 255], i2: [Int16Array, -32768], f4: [Float32Array, null] };
  const decoded = new Map();

  function flat(entry) {
    const text = atob(entry.b);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const [Type, missing] = types[entry.t];
    const raw = new Type(bytes.buffer);
    const out = new Float64Array(raw.length);
    for (let i = 0; i < raw.length; i++) {
      let v = missing === null ? raw[i] : raw[i] === missing ? NaN : raw[i] * entry.s + entry.o;
      if (entry.log) v = 10 ** v;
      out[i] = v;
    }
    return out;
  }

  function square(values, n) {
    const rows = Array.from({ length: n }, () => new Float64Array(n));
    let k = 0;
    for (let i = 0; i < n; i++) {
      rows[i][i] = NaN;
      for (let j = i + 1; j < n; j++) rows[i][j] = rows[j][i] = values[k++];
    }
    return rows;
  }

  function array(name) {
    if (!decoded.has(name)) {
      const entry = payload.arrays[name];
      if (!entry) throw new Error("no array " + name);
      let values = flat(entry);
      if (entry.tri) values = square(values, entry.tri);
      else if (entry.n.length === 2) {
        const [rows, columns] = entry.n;
        values = Array.from({ length: rows }, (_, r) => values.subarray(r * columns, (r + 1) * columns));
      }
      decoded.set(name, values);
    }
    return decoded.get(name);
  }

  /* edges bend towards the middle of the helmet, so that crossing ones can be told apart */
  const bend = 0.72, points = 9;

  function edges(ref, state) {
    const list = payload.values[fill(ref.$edges, state)].slice(ref.first, ref.stop);
    const nodes = array("conn/nodes"), names = payload.values["conn/names"];
    if (ref.part === "text") return list.map(([i, j, v]) => `${names[i]} – ${names[j]}<br>${v}`);
    const axis = ref.part.endsWith("x") ? 0 : 1;
    const at = (i, j, t) => {
      const a = nodes[i][axis], b = nodes[j][axis], c = (bend * (a + b)) / 2;
      return (1 - t) * (1 - t) * a + 2 * t * (1 - t) * c + t * t * b;
    };
    if (ref.part.startsWith("mid")) return list.map(([i, j]) => at(i, j, 0.5));
    return list.flatMap(([i, j]) => {
      const line = Array.from({ length: points }, (_, k) => at(i, j, k / (points - 1)));
      return [...line, null];
    });
  }

  /* references of a figure, filled with the state of its controls */
  const states = {};
  const fill = (text, state) => text.replace(/@(\w+)/g, (_, name) => state[name]);

  function colour(text) {
    const [name, alpha] = text.split("/");
    const value = getComputedStyle(root).getPropertyValue(name).trim();
    if (!alpha) return value;
    const n = parseInt(value.slice(1), 16);
    return `rgba(${n >> 16},${(n >> 8) & 255},${n & 255},${alpha})`;
  }

  function resolve(node, state) {
    if (typeof node === "string") return node.startsWith("--") ? colour(node) : node;
    if (Array.isArray(node)) return node.map((v) => resolve(v, state));
    if (node === null || typeof node !== "object") return node;
    if ("$a" in node) {
      const values = array(fill(node.$a, state));
      if ("col" in node) return values.map((row) => row[node.col]);
      if (!("row" in node)) return values;
      return values[Number(fill(node.row, state))] || [];
    }
    if ("$v" in node) {
      const value = payload.values[fill(node.$v, state)];
      return "key" in node ? value[node.key] : value;
    }
    if ("$edges" in node) return edges(node, state);
    return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, resolve(v, state)]));
  }

  const plots = [...document.querySelectorAll(".plot")];

  function draw(div) {
    const chart = payload.charts[div.dataset.chart];
    const state = states[chart.group] || {};
    const { data, layout } = resolve({ data: chart.data, layout: chart.layout }, state);
    // an empty overlay needs no place in the legend
    for (const trace of data) if (trace.y && trace.y.length === 0) trace.showlegend = false;
    div.dataset.drawn = "true";
    const size = { height: div.clientHeight };
    return Plotly.react(div, data, { ...layout, ...size }, config)
      .then(() => (div.dataset.done = "true"));
  }

  const drawn = () => plots.filter((div) => div.dataset.drawn);

  for (const input of document.querySelectorAll("[data-group]")) {
    const { group, name } = input.dataset;
    const state = (states[group] ||= {});
    if (input.tagName === "SELECT" || input.checked) state[name] = input.value;
    input.addEventListener("change", () => {
      state[name] = input.value;
      for (const div of drawn()) if (payload.charts[div.dataset.chart].group === group) draw(div);
    });
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  plots.forEach((div) => near.observe(div));

  /* light and dark */
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function theme(name) {
    root.dataset.theme = name;
    document.getElementById("theme-name").textContent = name === "dark" ? "Dark" : "Light";
    drawn().forEach(draw);
  }
  theme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => theme(dark.matches ? "dark" : "light"));
  document.getElementById("theme").addEventListener("click", () =>
    theme(root.dataset.theme === "dark" ? "light" : "dark"));

  /* paper is white and shows everything */
  let screen = null;
  addEventListener("beforeprint", () => {
    screen = root.dataset.theme;
    document.querySelectorAll("details").forEach((d) => (d.open = true));
    root.dataset.theme = "light";
    plots.forEach(draw);
  });
  addEventListener("afterprint", () => screen && theme(screen));

  /* where am I */
  const links = new Map([...document.querySelectorAll("nav.side a")].map((a) => [a.hash.slice(1), a]));
  const sections = [...document.querySelectorAll("main > section")];
  function here() {
    let current = sections[0];
    for (const s of sections) if (s.getBoundingClientRect().top < innerHeight * 0.35) current = s;
    if (innerHeight + scrollY >= document.body.scrollHeight - 4) current = sections.at(-1);
    for (const [id, a] of links) {
      if (id !== current.id) a.removeAttribute("aria-current");
      else if (!a.hasAttribute("aria-current")) {
        a.setAttribute("aria-current", "true");
        if (innerWidth <= 960) a.parentElement.parentElement.scrollTo({ left: a.offsetLeft - 60 });
      }
    }
  }
  addEventListener("scroll", here, { passive: true });
  here();
  root.dataset.ready = "true";
})();
