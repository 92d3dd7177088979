// Sizes, figures and shares: everything is counted anew from the formulas when a size changes.

const sizes = data.symbols.map((each) => BigInt(each.value));
let chosen = data.chosen;
let known = new Map();

function count(formula) {
  if (!known.has(formula)) known.set(formula, formulas[formula](...sizes));
  return known.get(formula);
}

// ---- amounts, as `nnspec cost` writes them ----

function withUnit(value, units, step) {
  const sign = value < 0n ? "-" : "";
  const size = value < 0n ? -value : value;
  let unit = 0;
  let divisor = 1n;
  while (size >= step * divisor && unit < units.length - 1) {
    unit += 1;
    divisor *= step;
  }
  if (unit === 0) return `${sign}${size}${units[0] ? ` ${units[0]}` : ""}`;
  const thousandths = (size * 1000n) / divisor;
  const digits = thousandths < 10000n ? 2 : thousandths < 100000n ? 1 : 0;
  const part = 10n ** BigInt(3 - digits);
  const shown = (thousandths + part / 2n) / part;
  const whole = shown / 10n ** BigInt(digits);
  const rest = digits ? `.${String(shown % 10n ** BigInt(digits)).padStart(digits, "0")}` : "";
  return `${sign}${whole}${rest} ${units[unit]}`;
}

function short(value, unit) {
  if (unit === "byte") return withUnit(value, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 1024n);
  return withUnit(value, ["", "K", "M", "G", "T", "P", "E"], 1000n);
}

function shareOf(value, total) {
  return total === 0n ? 0 : Number((value * 10000000n) / total) / 100000;
}

function percent(share) {
  return share > 0 && share < 0.05 ? "<0.1 %" : `${share.toFixed(1)} %`;
}

function put(parent, tag, kind, content) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (content !== undefined) node.textContent = content;
  parent.append(node);
  return node;
}

// ---- sizes ----

function wrongWith(symbol, value) {
  if (value < BigInt(symbol.low)) return `${symbol.name} must be at least ${symbol.low}`;
  if (symbol.high !== null && value > BigInt(symbol.high)) return `${symbol.name} must be at most ${symbol.high}`;
  if (value % BigInt(symbol.multiple) !== 0n) return `${symbol.name} must be a multiple of ${symbol.multiple}`;
  return "";
}

function unmet() {
  const found = data.needs.find((each) => count(each.formula) < 1n);
  return found ? `at these sizes ${found.text} is less than 1` : "";
}

// A slider is logarithmic: each of its 1000 steps is the same factor.
function atStep(symbol, step) {
  const low = Number(symbol.low);
  if (step === 1000) return BigInt(symbol.top);
  const raw = low * (Number(symbol.top) / low) ** (step / 1000);
  const multiple = Number(symbol.multiple);
  return BigInt(Math.max(low, Math.round(raw / multiple) * multiple));
}

function stepAt(symbol, value) {
  const low = Number(symbol.low);
  const range = Math.log(Number(symbol.top) / low);
  return range === 0 ? 0 : Math.round(1000 * Math.min(1, Math.log(Number(value) / low) / range));
}

function limits(symbol) {
  const parts = symbol.high === null ? [`at least ${symbol.low}`] : [`${symbol.low} to ${symbol.high}`];
  if (symbol.multiple !== "1") parts.push(`a multiple of ${symbol.multiple}`);
  return parts.join(", ");
}

function sizeControl(symbol, at) {
  const row = put(document.getElementById("sizes"), "div", "size");
  put(row, "b", "", symbol.name);
  const slider = put(row, "input");
  Object.assign(slider, { type: "range", min: 0, max: 1000, step: 1, id: `slider-${symbol.name}` });
  const field = put(row, "input");
  Object.assign(field, { type: "text", inputMode: "numeric", id: `size-${symbol.name}` });
  const hint = put(row, "small", "", limits(symbol));
  for (const input of [slider, field]) input.setAttribute("aria-label", symbol.name);
  field.value = String(sizes[at]);
  slider.value = stepAt(symbol, sizes[at]);
  const take = (value) => {
    const before = sizes[at];
    const digits = /^[0-9]{1,60}$/.test(value) ? BigInt(value) : -1n;
    let wrong = digits < 0n ? "a whole number is needed" : wrongWith(symbol, digits);
    if (!wrong) {
      sizes[at] = digits;
      known = new Map();
      wrong = unmet();
      if (wrong) {
        sizes[at] = before;
        known = new Map();
      }
    }
    field.classList.toggle("wrong", wrong !== "");
    hint.classList.toggle("wrong", wrong !== "");
    hint.textContent = wrong || limits(symbol);
    if (!wrong) refresh();
    return !wrong;
  };
  slider.addEventListener("input", () => {
    field.value = String(atStep(symbol, Number(slider.value)));
    take(field.value);
  });
  field.addEventListener("input", () => {
    if (take(field.value.replace(/[\s,_]/g, ""))) slider.value = stepAt(symbol, sizes[at]);
  });
}

// ---- figures ----

function tile(figure) {
  const node = put(document.getElementById("tiles"), figure.part >= 0 ? "button" : "div", "tile");
  node.id = `figure-${figure.name}`;
  put(node, "span", "name", figure.title);
  put(node, "span", "value");
  put(node, "span", "exact");
  put(node, "span", "formula", figure.formula);
  put(node, "span", "convention", figure.convention);
  if (figure.part < 0) return;
  node.type = "button";
  node.setAttribute("role", "radio");
  node.addEventListener("click", () => {
    chosen = figure.name;
    refresh();
  });
}

function refreshTile(figure) {
  const node = document.getElementById(`figure-${figure.name}`);
  const single = sizes.reduce((bits, size, at) => (size === 1n ? bits | (1 << at) : bits), 0);
  const [value, below] = [count(figure.ones[single] ?? figure.value), count(figure.below)];
  const exact = below === 1n ? value.toLocaleString("en") : "";
  const quotient = below === 0n ? "none" : (Number((value * 100n) / below) / 100).toLocaleString("en");
  node.querySelector(".value").textContent = below === 1n ? short(value, figure.unit) : `${quotient} ${figure.unit}`;
  node.querySelector(".exact").textContent = exact;
  node.dataset.value = String(value);
  node.dataset.below = String(below);
  if (figure.part >= 0) node.setAttribute("aria-checked", String(figure.name === chosen));
}

// ---- shares ----

function chosenFigure() {
  return data.figures.find((each) => each.name === chosen);
}

function costOf(panel, at) {
  return count(panel.figures[at][chosenFigure().part]);
}

// Called for each card that is drawn: tints it by its share.
function heat(group, card, panel, at, inner, box) {
  const total = count(chosenFigure().value);
  const share = shareOf(costOf(panel, at), total);
  group.dataset.share = share.toFixed(5);
  if (share <= 0) return;
  if (!inner && !card.round) {
    const cards = group.querySelectorAll(".card");
    const cover = cards[cards.length - 1].cloneNode();
    cover.setAttribute("class", "heat");
    cover.setAttribute("fill-opacity", (0.06 + 0.5 * Math.sqrt(share / 100)).toFixed(3));
    cards[cards.length - 1].after(cover);
  }
  const shown = text(-box.left, -4, "share", percent(share));
  shown.setAttribute("text-anchor", "start");
  group.append(shown);
}

// The parts that have a share, those of open blocks below them.
function rows(number, prefix, level, body) {
  const panel = data.panels[number];
  const total = count(chosenFigure().value);
  data.levels[panel.level].cards.forEach((card, at) => {
    if (panel.figures[at][chosenFigure().part] === 0) return;
    const name = `${prefix}${at}`;
    const inside = panel.inside[at];
    const open = inside >= 0 && isOpen(card, name);
    const row = put(body, "tr");
    const part = put(row, "td", "part");
    part.style.paddingLeft = `${6 + 16 * level}px`;
    const sign = put(part, "button", "", inside < 0 ? "" : open ? "\u2212" : "+");
    sign.type = "button";
    sign.disabled = inside < 0;
    sign.setAttribute("aria-label", `${open ? "fold" : "open"} ${card.heading}`);
    sign.dataset.row = name;
    sign.addEventListener("click", () => {
      toggleQuietly(name);
      refresh();
      document.querySelector(`[data-row="${name}"]`).focus({ preventScroll: true });
    });
    part.append(card.count > 1 && card.family !== "loop" ? `${card.count} \u00d7 ${card.name}` : card.name);
    if (card.label) put(part, "span", "label", card.label);
    const value = costOf(panel, at);
    const share = shareOf(value, total);
    put(row, "td", "number", short(value, chosenFigure().unit)).title = value.toLocaleString("en");
    put(row, "td", "number", percent(share));
    const bar = put(put(put(row, "td"), "div", "bar"), "i");
    bar.style.width = `${share}%`;
    if (open) rows(inside, `${name}.`, level + 1, body);
  });
}

function refresh() {
  data.figures.forEach(refreshTile);
  const figure = chosenFigure();
  document.getElementById("share").textContent = `Share of ${figure.title}`;
  document.getElementById("unit").textContent = figure.title;
  const body = document.createElement("tbody");
  body.id = "parts";
  rows(data.top, "", 0, body);
  document.getElementById("parts").replaceWith(body);
  drawAll();
}

document.getElementById("name").textContent = data.name;
document.getElementById("about").textContent = data.about;
document.getElementById("note").textContent = data.note;
document.getElementById("open").addEventListener("click", () => { openAll(600); refresh(); });
document.getElementById("fold").addEventListener("click", () => { foldAll(); refresh(); });
data.symbols.forEach(sizeControl);
data.figures.forEach(tile);
refresh();
