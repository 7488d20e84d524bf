// How figures and texts are written.

// Everything that comes from the server goes into the page as text (textContent) or as numbers: peers choose names and
// replies, and must not choose what this page does.

const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const rates = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

const count = (value) => (value == null ? "–" : whole.format(value));
const rate = (value) => (value == null ? "–" : (value < 10 ? rates : whole).format(value));

function span(seconds) {
  if (seconds == null) return "–";
  if (seconds < 0.9995) return `${seconds < 0.01 ? fine.format(seconds * 1000) : whole.format(seconds * 1000)} ms`;
  if (seconds < 60) return `${rates.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function size(octets) {
  if (octets == null) return "–";
  let value = octets;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return `${rate(value)} ${unit}`;
    value /= 1024;
  }
  return `${rate(value)} TiB`;
}

function clock(seconds) {
  const moment = new Date(seconds * 1000);
  const time = moment.toLocaleTimeString("en-GB");
  const today = Math.abs(Date.now() - moment) < 43200000;
  return today ? time : `${moment.toLocaleDateString("en-CA")} ${time}`;
}

function make(name, ...classes) {
  const element = document.createElement(name);
  element.classList.add(...classes);
  return element;
}

function draw(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text; // what is the same is not read out again
}

// Tiles: figures with a name each

function tiles(list, all) {
  while (list.children.length > all.length) list.lastChild.remove();
  all.forEach(([name, figure, note, bad], at) => {
    let tile = list.children[at];
    if (!tile) {
      tile = list.appendChild(make("div"));
      tile.append(make("dt"), make("dd"), make("dd"));
    }
    const [label, value, more] = tile.children;
    say(label, name);
    say(value, figure);
    say(more, note || "");
    more.hidden = !note;
    tile.classList.toggle("bad", Boolean(bad));
  });
}

// Tables, whose rows are kept and only their texts change

class Table {
  constructor(id, none, columns) {
    this.columns = columns;
    this.none = none;
    const table = $(id);
    const row = table.createTHead().insertRow();
    row.setAttribute("role", "row");
    row.parentNode.setAttribute("role", "rowgroup");
    for (const [name, kind] of columns) {
      const cell = row.appendChild(make("th", ...kind.split(" ").filter(Boolean)));
      cell.setAttribute("role", "columnheader");
      cell.scope = "col";
      cell.textContent = name;
    }
    this.body = table.createTBody();
    this.body.setAttribute("role", "rowgroup");
  }

  fill(rows) {
    const empty = rows.length === 0;
    if (empty !== this.empty) this.body.replaceChildren();
    this.empty = empty;
    if (empty) {
      if (!this.body.rows.length) this.say(this.row(1), 0, this.none, "none first", "");
      return;
    }
    while (this.body.rows.length > rows.length) this.body.lastChild.remove();
    rows.forEach((texts, nth) => {
      const row = this.body.rows[nth] || this.row(this.columns.length);
      texts.forEach((text, at) => this.say(row, at, text, this.columns[at][1], this.columns[at][0]));
    });
  }

  row(cells) {
    const row = this.body.insertRow();
    row.setAttribute("role", "row");
    for (let at = 0; at < cells; at += 1) {
      const cell = row.insertCell();
      cell.setAttribute("role", "cell");
      if (cells === 1) cell.colSpan = this.columns.length;
    }
    return row;
  }

  say(row, at, text, kind, label) {
    const cell = row.cells[at];
    const [words, tone] = Array.isArray(text) ? text : [text, ""];
    if (cell.textContent === words && cell.dataset.tone === tone) return;
    cell.className = kind + (words === "" ? " empty" : "");
    cell.dataset.label = label;
    cell.dataset.tone = tone;
    const place = tone ? make("span", tone) : cell;
    place.textContent = words;
    if (tone) cell.replaceChildren(place);
  }
}
