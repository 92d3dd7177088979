// Draws the panels of `data` with some blocks open, as SVG.

// Places of blocks that are open, and of loops that are not.
const turned = new Set(data.opened);

function isOpen(card, name) {
  return turned.has(name) !== (card.family === "loop");
}

function make(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function title(text) {
  const node = make("title", {});
  node.textContent = text;
  return node;
}

function text(x, y, kind, content) {
  const node = make("text", { x, y, class: kind });
  node.textContent = content;
  return node;
}

// The path through corners, each rounded; it ends inside of the tip.
function curve(corners) {
  const L = data.lengths;
  const points = corners.map((each) => [...each]);
  points[points.length - 1][1] -= L.tip * 0.5;
  const towards = (here, there, far) => (here === there ? 0 : there > here ? far : -far);
  const reach = ([a, b], [c, d]) => Math.max(Math.abs(c - a), Math.abs(d - b)) / 2;
  let path = `M${points[0].join(" ")}`;
  for (let at = 1; at < points.length - 1; at += 1) {
    const [before, [x, y], after] = points.slice(at - 1, at + 2);
    const bend = Math.min(L.bend, reach(before, [x, y]), reach([x, y], after));
    const start = [x + towards(x, before[0], bend), y + towards(y, before[1], bend)];
    const end = [x + towards(x, after[0], bend), y + towards(y, after[1], bend)];
    path += `L${start.join(" ")}Q${x} ${y} ${end.join(" ")}`;
  }
  return `${path}L${points[points.length - 1].join(" ")}`;
}

function wire(type, corners) {
  const { tip } = data.lengths;
  const [x, y] = corners[corners.length - 1];
  return make("g", { "data-type": type },
    title(type),
    make("path", { d: curve(corners), class: "wire" }),
    make("path", { d: `M${x} ${y}l${-tip * 0.6} ${-tip}h${tip * 1.2}z`, class: "tip" }));
}

// A panel and what is open in it: {node, width, height, axis}.
function arrange(number, prefix) {
  const L = data.lengths;
  const panel = data.panels[number];
  const level = data.levels[panel.level];
  const inner = level.cards.map((card, at) => {
    const name = `${prefix}${at}`;
    return panel.inside[at] >= 0 && isOpen(card, name) ? arrange(panel.inside[at], `${name}.`) : null;
  });
  const boxes = level.cards.map((card, at) => boxOf(card, inner[at]));
  const placed = place(level, boxes);
  const node = make("g", {});
  placed.wires.forEach((corners, at) => node.append(wire(level.types[at], corners)));
  level.cards.forEach((card, at) => {
    const name = `${prefix}${at}`;
    const move = `translate(${placed.x[at]} ${placed.y[at]})`;
    const group = make("g", { transform: move, "data-place": name });
    if (inner[at]) frame(group, card, inner[at], boxes[at]);
    else group.innerHTML = card.svg;
    if (panel.inside[at] >= 0) openable(group, card, name, inner[at] !== null);
    if (typeof heat === "function") heat(group, card, panel, at, inner[at], boxes[at]);
    node.append(group);
  });
  return { node, width: placed.width, height: placed.height, axis: placed.axis };
}

function boxOf(card, inner) {
  const L = data.lengths;
  const half = card.width / 2;
  if (!inner) {
    const right = Math.max(half, card.reach);
    return { left: half, right, height: card.height, half, outlets: card.outlets, round: card.round, edge: half };
  }
  const left = inner.axis + L.frameInset;
  const edge = Math.max(inner.width - inner.axis + L.frameInset, card.headingWidth - left);
  const height = inner.height + L.frameTop + L.frameBottom;
  return { left, right: Math.max(edge, card.reach), height, half: Math.min(left, edge), outlets: card.outlets, round: false, edge };
}

function frame(group, card, inner, box) {
  const L = data.lengths;
  group.setAttribute("class", `${card.family} open`);
  group.append(title(card.tip));
  group.append(make("rect", { x: -box.left, y: 0, width: box.left + box.edge, height: box.height, rx: L.round, class: "card" }));
  group.append(text(12 - box.left, 20, "heading", card.heading));
  inner.node.setAttribute("transform", `translate(${L.frameInset - box.left} ${L.frameTop})`);
  group.append(inner.node);
  if (card.count > 1) {
    const shown = `\u00d7${card.count.toLocaleString("en")}`;
    const wide = shown.length * 6.6 + 12;
    const x = box.edge - wide + 8;
    group.append(make("rect", { x, y: -L.badge / 2, width: wide, height: L.badge, rx: L.badge / 2, class: "pill" }));
    group.append(text(x + wide / 2, 12 - L.badge / 2, "badge", shown));
  }
  card.labels.forEach((label, at) => {
    group.append(text(card.outlets[at] + 6, box.height + L.shape + 4, "shape", label));
  });
}

// Cards that open do so on a click, and on Enter or Space where they have the focus.
function openable(group, card, name, open) {
  const handle = open ? group.querySelector(":scope > .heading") : group;
  handle.setAttribute("tabindex", "0");
  handle.setAttribute("role", "button");
  handle.setAttribute("aria-expanded", String(open));
  handle.setAttribute("aria-label", card.heading);
  handle.setAttribute("data-toggle", name);
  if (open) handle.textContent = `\u2212 ${card.heading}`;
  const turn = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    toggle(name);
  };
  handle.addEventListener("click", turn);
  handle.addEventListener("keydown", turn);
}

function toggleQuietly(name) {
  if (turned.has(name)) turned.delete(name);
  else turned.add(name);
}

function toggle(name) {
  toggleQuietly(name);
  refresh();
  const handle = document.querySelector(`[data-toggle="${name}"]`);
  if (handle) handle.focus({ preventScroll: true });
}

function drawAll() {
  const L = data.lengths;
  const scene = arrange(data.top, "");
  const [wide, high] = [scene.width + 2 * L.margin, scene.height + 2 * L.margin];
  scene.node.setAttribute("transform", `translate(${L.margin} ${L.margin})`);
  const svg = make("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, role: "img", "aria-label": data.name });
  svg.append(make("rect", { width: wide, height: high, class: "ground" }), scene.node);
  document.getElementById("graph").replaceChildren(svg);
}

// Opens every block down to where `most` cards are drawn, the outer ones first.
function openAll(most) {
  let waiting = [[data.top, ""]];
  let drawn = 0;
  while (waiting.length) {
    const next = [];
    for (const [number, prefix] of waiting) {
      const inside = data.panels[number].inside;
      drawn += inside.length;
      if (drawn > most) return;
      const { cards } = data.levels[data.panels[number].level];
      inside.forEach((inner, at) => {
        if (inner < 0) return;
        const name = `${prefix}${at}`;
        if (!isOpen(cards[at], name)) toggleQuietly(name);
        next.push([inner, `${name}.`]);
      });
    }
    waiting = next;
  }
}

function foldAll() {
  turned.clear();
}
