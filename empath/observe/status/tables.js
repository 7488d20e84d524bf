// What each table and each tile shows.

const FEW = 10; // failures that are shown unless all are wanted
const SITE = [
  ["Site", "first name"], ["Ready", "number"], ["Under way", "number"], ["Connections", "number"], ["Delivered", "number"],
  ["Deferred", "number"], ["Failed", "number"], ["Mean time", "number"], ["Breaker", "word"], ["Limits", "wide"],
];
const tables = {
  sites: new Table("sites", "No site has mail in the queue.", SITE),
  slowest: new Table("slowest", "No attempt in the last ten minutes.", SITE),
  breakers: new Table("breakers", "All are closed, and no site is shaped.", [
    ["Site", "first name"], ["Breaker", "word"], ["Left alone until", "word"], ["Shaped to", "word"], ["Destinations", "wide"],
  ]),
  failures: new Table("failures", "No attempt has failed.", [
    ["Time", "word"], ["Outcome", "word"], ["Destination", "name"], ["Host", "name"], ["Recipients", "number"],
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
  const more = $("more"), all = more.getAttribute("aria-expanded") === "true";
  more.hidden = failures.length <= FEW;
  say(more, all ? `Show the latest ${FEW} only` : `Show all ${failures.length}`);
  tables.failures.fill([...failures].reverse().slice(0, all ? failures.length : FEW).map((each) => [
    clock(each.time), toned(each.status, WORDS[each.status]), each.domain, each.host, count(each.recipients), each.reply,
    each.queue_id,
  ]));
  const held = facts.frozen.map((name) => name || "all destinations").join(", ");
  const others = facts.frozen_many - facts.frozen.length;
  const notes = [];
  if (held) notes.push(`Frozen by an operator: ${held}${others > 0 ? ` and ${others} more` : ""}.`);
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
    ["Waiting", count(facts.waiting), "deliveries due"], ["Under way", count(facts.attempts), "attempts"],
    ["Oldest", facts.oldest == null ? "–" : span(facts.oldest), "in the queue"],
    ["Sessions", count(facts.sessions), "of clients"],
    ["Breakers open", count(facts.breakers_open), "of sites", facts.breakers_open > 0],
    ["Disk", facts.disk.free == null ? "–" : size(facts.disk.free), `free, of which ${size(facts.disk.floor)} must stay`, low],
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
