(() => {
"use strict";

// Everything that comes from the server goes into the page as text (textContent) or as numbers: peers choose names and
// replies, and must not choose what this page does.

const KEY = "empath-status-token";
const SILENCE = 6000; // ms without a snapshot after which the connection counts as lost
const HIDDEN = 60000; // ms that nobody looks at the tab, after which it does not listen
const MOST = 600; // samples
const MOST_FAILURES = 50;
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

// What is known

let fields = [];
let samples = [];
let failures = [];
let facts = null;
let ended = true; // the moment shown is the latest
let paused = false;

const column = (name) => fields.indexOf(name);
const shown = () => Number(document.querySelector("input[name=span]:checked").value);

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
      const cell = row.appendChild(make("th", ...kind.split(" ")));
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

const SITE = [
  ["Site", "first"], ["Ready", "number"], ["Under way", "number"], ["Connections", "number"], ["Delivered", "number"],
  ["Deferred", "number"], ["Failed", "number"], ["Mean time", "number"], ["Breaker", "word"], ["Limits", "wide"],
];
const tables = {
  sites: new Table("sites", "No site has mail in the queue.", SITE),
  slowest: new Table("slowest", "No attempt in the last ten minutes.", SITE),
  breakers: new Table("breakers", "All are closed, and no site is shaped.", [
    ["Site", "first"], ["Breaker", "word"], ["Left alone until", "word"], ["Shaped to", "word"], ["Destinations", "wide"],
  ]),
  failures: new Table("failures", "No attempt has failed.", [
    ["Time", "word"], ["What came of it", "word"], ["Destination", ""], ["Host", ""], ["Recipients", "number"],
    ["Reply", "wide"], ["Queue id", "id wide"],
  ]),
};
const TONES = { open: "bad", "half-open": "warn", failed: "bad", expired: "bad", retry: "warn" };
const WORDS = { retry: "deferred", failed: "failed", expired: "expired" };
const toned = (word, text) => [text || word, TONES[word] || ""];

const siteRow = (each) => [
  each.site, count(each.ready), count(each.in_flight), count(each.connections), count(each.delivered),
  count(each.deferred), count(each.failed), each.seconds ? span(each.seconds) : "–", toned(each.breaker), each.limit,
];

function showTables() {
  tables.sites.fill(facts.sites.map(siteRow));
  tables.slowest.fill(facts.slowest.map(siteRow));
  tables.breakers.fill(facts.breakers.map((each) => [
    each.site, toned(each.state), each.until == null ? "" : clock(each.until),
    each.connections == null ? "" : `${each.connections} at a time${each.rate == null ? "" : `, ${fine.format(each.rate)}/s`}`,
    each.domains.join(", "),
  ]));
  tables.failures.fill([...failures].reverse().map((each) => [
    clock(each.time), toned(each.status, WORDS[each.status]), each.domain, each.host, count(each.recipients), each.reply,
    each.queue_id,
  ]));
  const held = facts.frozen.map((name) => name || "all destinations").join(", ");
  const more = facts.frozen_many - facts.frozen.length;
  const notes = [];
  if (held) notes.push(`Frozen by an operator: ${held}${more > 0 ? ` and ${more} more` : ""}.`);
  if (facts.stopped_senders) notes.push(`Senders stopped: ${facts.stopped_senders}.`);
  if (facts.limited) notes.push(`Deliveries that wait for a rate: ${count(facts.limited)}.`);
  say($("stopped"), notes.join(" "));
}

// Readiness and figures

const PARTS = {
  smtp: "not every listener takes mail", spool: "the spool cannot be written", delivery: "the queue does not run",
  dns: "no DNS server answered lately", disk: "less room than has to stay free", queue: "longer than max_queue_size",
};

function showParts() {
  const list = $("parts");
  const names = Object.keys(facts.health.parts);
  while (list.children.length > names.length) list.lastChild.remove();
  names.forEach((name, at) => {
    let item = list.children[at];
    if (!item) {
      item = list.appendChild(make("li"));
      item.append(make("b"), document.createTextNode(""));
    }
    const good = facts.health.parts[name];
    item.className = good ? "good" : "bad";
    say(item.firstChild, good ? "✓" : "✗");
    item.firstChild.setAttribute("aria-hidden", "true");
    const needed = facts.health.required.includes(name === "disk" ? "spool" : name) ? "" : " (not required)";
    say(item.lastChild, `${name}: ${good ? "ready" : `${PARTS[name] || "not ready"}${needed}`}`);
  });
}

const QUEUE = ["pending", "in-progress", "retry", "held", "completed", "failed", "expired"];

function showFigures() {
  const last = samples[samples.length - 1] || [];
  const now = (name) => last[column(name)];
  const each = (name, key) => [name, `${rate(now(key))} /s`, `${count(facts.totals[key])} in all`];
  const low = facts.disk.free != null && facts.disk.free < facts.disk.floor;
  tiles($("tiles"), [
    each("Received", "received"), each("Delivered", "delivered"), each("Deferred", "deferred"),
    each("Failed", "failed"), each("Refused", "refused"),
    ["Waiting", count(facts.waiting), "deliveries that are due"], ["Under way", count(facts.attempts), "attempts"],
    ["Oldest", facts.oldest == null ? "–" : span(facts.oldest), "message in the queue"],
    ["Sessions", count(facts.sessions), "of clients"],
    ["Breakers open", count(facts.breakers_open), "", facts.breakers_open > 0],
    ["Disk", facts.disk.free == null ? "–" : size(facts.disk.free), `free; ${size(facts.disk.floor)} has to be`, low],
    ["Loop", span(now("late")), "late"],
  ]);
  tiles($("queue"), QUEUE.map((status) => [status, count(facts.queue[status] || 0)]));
  say($("queue-note"), facts.counted == null ? "Not counted yet." : `Deliveries by status, counted at ${clock(facts.counted)}.`);
}

function showState() {
  const { ready, shutting_down: stopping } = facts.health;
  const words = stopping ? "Stopping" : ready ? "Up and ready" : "Up, not ready";
  state(paused ? `${words} (paused)` : words, stopping ? "warn" : ready ? "good" : "bad");
  say($("hostname"), facts.hostname);
  say($("since"), `version ${facts.version}, up for ${span(Math.max(0, facts.time - facts.started))}`);
  document.title = `${ready && !stopping ? "" : "⚠ "}${facts.hostname} – empath`;
}

function state(words, tone) {
  say($("state"), words);
  $("state").className = `state ${tone}`;
}

// Charts

class Chart {
  constructor(name, unit, write, series) {
    this.name = name;
    this.write = write;
    this.series = series;
    const figure = $("charts").appendChild(make("figure"));
    const caption = figure.appendChild(make("figcaption"));
    caption.textContent = `${name} `;
    caption.appendChild(make("span")).textContent = unit;
    const legend = figure.appendChild(make("ul", "legend"));
    this.values = series.map(([, label], nth) => {
      const item = legend.appendChild(make("li"));
      const key = item.appendChild(draw("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }));
      key.append(draw("path", { d: "M1 4H25", class: `line s${nth + 1}` }));
      item.append(`${label} `);
      return item.appendChild(make("b"));
    });
    this.plot = figure.appendChild(draw("svg", { class: "plot", role: "img" }));
    this.grid = this.plot.appendChild(draw("g", {}));
    this.lines = series.map((_, nth) => draw("path", { class: `line s${nth + 1}` }));
    this.plot.append(...this.lines);
    this.cursor = this.plot.appendChild(draw("path", { class: "cursor" }));
    this.details = figure.appendChild(make("details"));
    this.details.appendChild(make("summary")).textContent = `${name} as a table`;
    this.table = null;
    this.details.addEventListener("toggle", () => this.tell());
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && follow());
  }

  point(event) {
    const box = this.plot.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / Math.max(1, box.width - LEFT - RIGHT);
    moment(Math.round((shown() - 1) * Math.min(1, Math.max(0, share))));
  }

  show(rows, at) {
    const width = Math.max(200, this.plot.clientWidth || 400);
    const height = this.plot.clientHeight || 150;
    this.plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const columns = this.series.map(([field]) => column(field));
    let most = 0;
    for (const row of rows) for (const place of columns) if (row && row[place] > most) most = row[place];
    const top = ceiling(most);
    const inner = width - LEFT - RIGHT;
    const x = (nth) => LEFT + (inner * nth) / Math.max(1, rows.length - 1);
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / top);
    this.axes(width, height, top, y);
    columns.forEach((place, nth) => this.lines[nth].setAttribute("d", path(rows, place, x, y)));
    this.cursor.setAttribute("d", ended ? "" : `M${x(at).toFixed(1)} ${TOP}V${height - BOTTOM}`);
    const row = rows[at];
    columns.forEach((place, nth) => say(this.values[nth], this.write(row ? row[place] : null)));
    this.describe(rows, columns);
    this.tell();
  }

  axes(width, height, top, y) {
    const key = `${width} ${height} ${top} ${shown()}`;
    if (key === this.key) return;
    this.key = key;
    this.grid.replaceChildren();
    for (const share of [0, 0.5, 1]) {
      const at = y(top * share);
      this.grid.append(draw("path", { class: "grid", d: `M${LEFT} ${at}H${width - RIGHT}` }));
      this.label(LEFT - 6, at + 4, "end", this.write(top * share));
    }
    this.label(LEFT, height - 4, "start", `${shown() / 60} min ago`);
    this.label(width - RIGHT, height - 4, "end", "now");
  }

  label(x, y, anchor, text) {
    this.grid.appendChild(draw("text", { x, y, "text-anchor": anchor })).textContent = text;
  }

  describe(rows, columns) {
    const parts = this.series.map(([, label], nth) => {
      const values = rows.map((row) => row && row[columns[nth]]).filter((value) => value != null);
      const most = values.length ? Math.max(...values) : null;
      return `${label} ${this.write(values.length ? values[values.length - 1] : null)} now, at most ${this.write(most)}`;
    });
    this.plot.setAttribute("aria-label", `${this.name}, last ${shown() / 60} min: ${parts.join("; ")}`);
  }

  tell() {
    if (!this.details.open) return;
    if (!this.table) {
      this.details.appendChild(make("table")).id = `table-${this.series[0][0]}`;
      const columns = [["Until", "word"], ...this.series.map(([, label]) => [label, "number"])];
      this.table = new Table(`table-${this.series[0][0]}`, "Nothing yet.", columns);
    }
    const rows = window_(), step = Math.max(1, shown() / 10), told = [];
    for (let end = rows.length; end > 0; end -= step) {
      const part = rows.slice(Math.max(0, end - step), end).filter(Boolean);
      if (!part.length) break;
      told.push([clock(part[part.length - 1][0]), ...this.series.map(([field]) => {
        const values = part.map((row) => row[column(field)]).filter((value) => value != null);
        return this.write(values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
      })]);
    }
    this.table.fill(told);
  }
}

const LEFT = 58, RIGHT = 10, TOP = 8, BOTTOM = 20;

function ceiling(most) {
  if (!(most > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 6, 10].find((step) => step * unit >= most) * unit;
}

function path(rows, place, x, y) {
  // Seconds in which nothing ended have no duration: a line goes on over a few of them, a lone one is a dot.
  let drawn = "", last = -Infinity;
  rows.forEach((row, nth) => {
    const value = row && row[place];
    if (value == null) return;
    drawn += `${nth - last > 10 ? "M" : "L"}${x(nth).toFixed(1)} ${y(value).toFixed(1)}`;
    if (nth - last > 10) drawn += "h0";
    last = nth;
  });
  return drawn;
}

const plain = (value) => (value == null ? "–" : (value > 0 && value < 10 ? rates : whole).format(value));
const charts = [
  new Chart("Throughput", "a second", plain, [
    ["received", "received"], ["delivered", "delivered"], ["deferred", "deferred"], ["failed", "failed"],
    ["refused", "refused"],
  ]),
  new Chart("Latency", "of attempts, and from reception to delivery", span, [
    ["p50", "attempt, median"], ["p95", "attempt, 95 %"], ["age", "delivered, 95 %"],
  ]),
  new Chart("Work", "at the end of each second", plain, [
    ["waiting", "waiting"], ["attempts", "attempts"], ["sessions", "sessions"],
  ]),
  new Chart("Event loop", "how late it is", span, [["late", "late"]]),
];

function window_() {
  // One place for each second that is shown; null where no sample was taken.
  const many = shown(), rows = new Array(many).fill(null);
  const last = samples.length ? samples[samples.length - 1][0] : 0;
  for (let at = samples.length - 1; at >= 0; at -= 1) {
    const place = many - 1 - Math.round(last - samples[at][0]);
    if (place < 0) break;
    rows[place] = samples[at];
  }
  return rows;
}

function showCharts() {
  if (!samples.length) return;
  const rows = window_(), slider = $("moment");
  slider.max = rows.length - 1;
  if (ended) slider.value = slider.max;
  const at = Number(slider.value);
  const row = rows[at];
  const words = ended ? "now" : row ? clock(row[0]) : "no sample";
  say($("moment-text"), words);
  slider.setAttribute("aria-valuetext", words);
  for (const chart of charts) chart.show(rows, at);
}

function moment(at) {
  $("moment").value = at;
  ended = at >= shown() - 1;
  showCharts();
}

const follow = () => moment(shown() - 1);

function show() {
  if (!facts) return;
  $("all").hidden = false;
  $("pause").hidden = false;
  showState();
  showParts();
  showFigures();
  showCharts();
  showTables();
}

// What the server tells

function take(name, content) {
  facts = content.facts;
  if (name === "history") {
    ({ fields, samples, failures } = content);
  } else {
    if (content.sample) samples.push(content.sample);
    const known = failures.length ? failures[failures.length - 1].nth : 0;
    failures.push(...content.failures.filter((each) => each.nth > known));
  }
  samples = samples.slice(-MOST);
  failures = failures.slice(-MOST_FAILURES);
}

let later = []; // what was told while paused

function hear(name, content) {
  if (paused) {
    later = [...(name === "history" ? [] : later), [name, content]].slice(-MOST);
    return;
  }
  take(name, content);
  show();
}

const store = {
  // A browser may forbid storage: then the token lasts as long as the page.
  token: "",
  read() {
    try { return sessionStorage.getItem(KEY) || this.token; } catch { return this.token; }
  },
  write(token) {
    this.token = token;
    try { token ? sessionStorage.setItem(KEY, token) : sessionStorage.removeItem(KEY); } catch { /* as above */ }
  },
};

let listening = null; // what ends the connection
let failed = 0;
let timer = 0;

async function listen() {
  clearTimeout(timer);
  const mine = new AbortController();
  listening = mine;
  let heard = setTimeout(() => mine.abort(), SILENCE);
  try {
    const token = store.read();
    const headers = { accept: "text/event-stream", ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const answer = await fetch("status/events", { headers, cache: "no-store", credentials: "omit", redirect: "error", signal: mine.signal });
    if (answer.status === 401) return ask(Boolean(token));
    if (!answer.ok) throw new Error((await answer.text()).slice(0, 200).trim());
    $("forget").hidden = !token;
    const reader = answer.body.getReader(), decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      rest += decoder.decode(value, { stream: true });
      const events = rest.split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const match = /^event: (\w+)\ndata: (.*)$/.exec(event);
        if (!match) continue;
        clearTimeout(heard);
        heard = setTimeout(() => mine.abort(), SILENCE);
        failed = 0;
        hear(match[1], JSON.parse(match[2]));
      }
    }
    throw new Error();
  } catch (trouble) {
    if (listening === mine) lost(trouble instanceof Error && trouble.name === "Error" ? trouble.message : "");
  } finally {
    clearTimeout(heard);
    mine.abort();
  }
}

function lost(why) {
  failed += 1;
  const wait = Math.min(15, 2 ** (failed - 1)) * (0.8 + 0.4 * Math.random());
  state(why || (facts ? "Connection lost, connecting again…" : "No connection, trying again…"), "bad");
  document.title = "⚠ connection lost – empath";
  timer = setTimeout(listen, wait * 1000);
}

function leave() {
  const mine = listening;
  listening = null;
  clearTimeout(timer);
  if (mine) mine.abort();
}

function ask(wrong) {
  leave();
  store.write("");
  facts = null;
  samples = [];
  failures = [];
  for (const id of ["all", "pause", "forget"]) $(id).hidden = true;
  state("A token is wanted", "warn");
  $("ask").hidden = false;
  say($("refused"), wrong ? "That token is not the one." : "");
  $("token").focus();
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  store.write($("token").value.trim());
  $("token").value = "";
  $("ask").hidden = true;
  state("Connecting…", "");
  listen();
});
$("forget").addEventListener("click", () => ask(false));
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  for (const [name, content] of paused ? [] : later) take(name, content);
  later = [];
  show();
});
$("moment").addEventListener("input", (event) => moment(Number(event.target.value)));
for (const each of document.querySelectorAll("input[name=span]")) each.addEventListener("change", follow);
new ResizeObserver(() => facts && showCharts()).observe($("charts"));

let leaving = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) leaving = setTimeout(leave, HIDDEN);
  else if (!listening && $("ask").hidden) listen();
});

listen();
})();
