// The live page: asks the master once a second for the points it lacks, and draws them.

import { Chart } from "./chart.js";

const EVERY_MS = 1000, ARRIVALS_OVER_S = 5, COMPLETION_OVER_S = 15;

const field = (name, scale = 1) => (points) =>
  points.map((point) => (point[name] === null || point[name] === undefined ? null : point[name] * scale));

// The points before each point that are at least `over_s` older: counts are totals since the start.
function earlier(points, over_s) {
  let behind = 0;
  return points.map((point) => {
    while (behind + 1 < points.length && points[behind + 1].at_s <= point.at_s - over_s) behind += 1;
    return points[behind];
  });
}

const perSecond = (name) => (points) => {
  const before = earlier(points, ARRIVALS_OVER_S);
  return points.map((point, index) => {
    const seconds = point.at_s - before[index].at_s;
    return seconds > 0 ? (point[name] - before[index][name]) / seconds : null;
  });
};

function completion(points) {
  const before = earlier(points, COMPLETION_OVER_S);
  return points.map((point, index) => {
    const completed = point.completed - before[index].completed;
    const finished = completed + point.failed - before[index].failed;
    return finished > 0 ? (100 * completed) / finished : null;
  });
}

const CHARTS = [
  { title: "Arrivals", unit: "per second, last 5 s", series: [
    { name: "planned", colour: "one", dashed: true, values: perSecond("starts_planned") },
    { name: "started", colour: "one", values: perSecond("started") },
    { name: "dropped", colour: "two", values: perSecond("starts_dropped") }] },
  { title: "Calls in progress", unit: "", series: [
    { name: "planned, without ringing", colour: "four", dashed: true, values: field("calls_wanted") },
    { name: "in progress, with ringing", colour: "one", values: field("calls_active") },
    { name: "probes", colour: "three", values: field("probes_active") }] },
  { title: "Completion rate", unit: "%, last 15 s", high: 102, series: [
    { name: "completed", colour: "three", values: completion }] },
  { title: "Set-up time", unit: "ms", series: [
    { name: "p50", colour: "one", values: field("setup_p50_ms") },
    { name: "p95", colour: "two", values: field("setup_p95_ms") }] },
  { title: "One-way delay", unit: "ms", series: [
    { name: "p95 over calls of p95 per call", colour: "two", values: field("owd_p95_ms") }] },
  { title: "Speech quality", unit: "MOS, 1 to 5", low: 1, high: 5, series: [
    { name: "E-model p50", colour: "one", values: field("mos_p50") },
    { name: "E-model p5", colour: "two", values: field("mos_p5") },
    { name: "ViSQOL p50", colour: "three", values: field("visqol_p50") }] },
  { title: "Engine CPU", unit: "% of a core", series: [
    { name: "sum of engines", colour: "one", values: field("engine_cpu", 100) },
    { name: "busiest", colour: "two", values: field("engine_cpu_max", 100) }] },
  { title: "Load generator delay", unit: "ms, worst engine", series: [
    { name: "packets sent late p99", colour: "one", values: field("send_late_p99_ms") },
    { name: "loop lag p99", colour: "four", values: field("loop_lag_p99_ms") }] },
];

const PHASES = { idle: "no run", ready: "signing in", loading: "under load", ending: "draining", ended: "ended" };
const by = (id) => document.getElementById(id);
let state = { run: "", epoch: -1, faults: [] }, points = [], hover = null;
const charts = CHARTS.map((one) => new Chart(by("charts"), one, (at) => { hover = at; draw(); }));

function draw() {
  for (const chart of charts) chart.draw(points, state.faults, hover);
}

function tell() {
  const phase = state.phase === "idle" && state.run ? "ended" : state.phase;
  by("phase").textContent = PHASES[phase] ?? phase;
  by("phase").dataset.phase = state.phase;
  by("stage").textContent = [state.stage, state.run].filter(Boolean).join(" · ");
  by("problem").hidden = !state.problem;
  by("problem").textContent = state.problem;
  by("people").textContent = state.people;
  by("active").textContent = state.calls_active;
  by("finished").textContent = `${state.completed} / ${state.finished}`;
  const percent = (share) => (share === 1 ? "100" : (100 * share).toFixed(1)) + " %";
  by("completion").textContent = state.completion ? percent(state.completion[0]) : "–";
  by("bounds").textContent = state.completion
    ? `completion rate; 95 % interval ${percent(state.completion[1])} to ${percent(state.completion[2])}` : "completion rate";
  by("faults").hidden = !state.faults.length;
  by("faults").querySelector("ul").replaceChildren(...state.faults.slice(-30).map((fault) => {
    const line = document.createElement("li");
    line.className = fault.severity;
    line.textContent = `${fault.what.replaceAll("_", " ")}: ${fault.detail}`;
    return line;
  }));
}

async function look() {
  const last = points.length ? points.at(-1).at_s : 0;
  const query = new URLSearchParams({ run: state.run, epoch: state.epoch, after: last });
  try {
    const answer = await fetch(`calls/points?${query}`);
    if (answer.redirected) { location.reload(); return; }
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const news = await answer.json();
    points = news.run === state.run && news.epoch === state.epoch ? points.concat(news.points) : news.points;
    state = news;
    tell();
    draw();
  } catch {
    by("phase").textContent = "no answer from Locust";
    by("phase").dataset.phase = "lost";
  }
}

async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, EVERY_MS);
}

new ResizeObserver(draw).observe(by("charts"));
watch();
