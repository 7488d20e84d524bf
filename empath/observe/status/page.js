// What is known, and where it comes from.

const KEY = "empath-status-token";
const SILENCE = 6000; // ms without a snapshot after which the connection counts as lost
const HIDDEN = 60000; // ms that nobody looks at the tab, after which it does not listen
const MOST = 600; // samples
const MOST_FAILURES = 50;

let fields = [];
let samples = [];
let failures = [];
let facts = null;
let ended = true; // the moment shown is the latest
let paused = false;

const column = (name) => fields.indexOf(name);
const shown = () => Number(document.querySelector("input[name=span]:checked").value);

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
$("more").addEventListener("click", () => {
  $("more").setAttribute("aria-expanded", String($("more").getAttribute("aria-expanded") !== "true"));
  showTables();
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
