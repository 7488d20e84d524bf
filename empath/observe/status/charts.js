// Charts: lines over the last minutes, drawn by hand

const LEFT = 58, RIGHT = 10, TOP = 8, BOTTOM = 20;

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
