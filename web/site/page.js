// The page: settings and files go to the worker, and what it tells is shown.
//
// The training is over faster than anyone can watch, so the pictures follow it at their own pace:
// `shown` is the step that they have reached, `latest` the one that the trainer has.

import { drawLoss } from "./loss.js";
import { LettersPicture } from "./letters.js";

/** Milliseconds that the pictures take for a run, at least. */
const WATCHED = 5_000;
/** Bytes of the largest file that is read. */
const LARGEST_FILE = 32 << 20;
/** The run that the post timed. */
const POST = { layers: 1, batch: 32, steps: 10_000 };
/** Ends of the axis of seconds. */
const FASTEST = 0.1;
const SLOWEST = 300;

const $ = (id) => document.getElementById(id);
const form = $("settings");
const fields = form.elements;
const lettersPicture = new LettersPicture($("letters"));
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
const isScalar = new URLSearchParams(location.search).has("scalar");
const number = new Intl.NumberFormat("en");

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });

/** "loading", "ready", "training", "paused", "finished" or "broken". */
let state = "loading";
/** Settings of the run that there is. */
let settings;
/** Lists of { step, loss, letters }, { step, validation } and { step, names }. */
let history = { frames: [], looks: [], inventions: [] };
let latest = 0;
let end = POST.steps;
let seconds = 0;
let shown = 0;
/** Whether the worker was asked for a new run, and whether to train as soon as it is there. */
let isStarting = false;
let trainsNext = false;
/** Whether the visitor looks back to an earlier step. */
let isBack = false;
/** Inventions that are in the list already. */
let listed = 0;
/** Where the names come from. */
let source = "the built-in sample";
let pendingSource = source;

// To the worker.

const ask = (task, more = {}, transfer = []) => worker.postMessage({ task, ...more }, transfer);

function chosen() {
  const value = (name) => Number(fields[name].value);
  return {
    layers: value("layers"),
    rate: value("rate"),
    batch: value("batch"),
    steps: value("steps"),
    seed: value("seed"),
  };
}

const isChosen = () => JSON.stringify(chosen()) === JSON.stringify(settings);

/** Starts anew with the settings that are chosen. */
const start = () => askForRun("start", {});

function askForRun(task, more, transfer) {
  isStarting = true;
  ask(task, { ...more, settings: chosen() }, transfer);
}

function train() {
  setState("training");
  isBack = false;
  ask("train", { until: end });
  showPictures();
}

/** On a phone the pictures are below the settings. */
function showPictures() {
  const { top, bottom } = $("pictures").getBoundingClientRect();
  if (top < innerHeight * 0.6 && bottom > 0) return;
  $("pictures").scrollIntoView({ behavior: isCalm.matches ? "auto" : "smooth" });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearError();
  if (isStarting) {
    trainsNext = true;
    return;
  }
  if (state === "training") {
    ask("pause");
    return;
  }
  if (state === "finished") end = latest + settings.steps;
  train();
});

$("restart").addEventListener("click", () => {
  if (!form.reportValidity()) return;
  clearError();
  trainsNext = true;
  start();
});

form.addEventListener("change", ({ target }) => {
  if (target.name === "layers") {
    fields.rate.value = target.dataset.rate;
    fields.batch.value = target.dataset.batch;
  }
  // Before the first step there is nothing to lose.
  if (state === "ready" && target.name && form.reportValidity()) start();
  showUnused();
});

const showUnused = () => ($("unused").hidden = state === "ready" || !settings || isChosen());

$("sample").addEventListener("click", () => takeNames(null, "the built-in sample"));
$("invent").addEventListener("click", () => ask("invent"));
$("save").addEventListener("click", () => ask("save"));

for (const id of ["file", "weights"]) {
  $(id).addEventListener("change", ({ target }) => {
    takeFiles([...target.files]);
    target.value = ""; // so that the same file can be chosen again
  });
}

addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length === 0) return;
  event.preventDefault();
  takeFiles([...event.dataTransfer.files]);
});

/** A file of names, on which the training starts at once, or one of weights. */
async function takeFiles([file, ...others]) {
  if (!file || state === "loading" || state === "broken" || !form.reportValidity()) return;
  clearError();
  if (others.length > 0) return showError("One file at a time, please.");
  if (file.size > LARGEST_FILE) {
    const size = (file.size / 2 ** 20).toFixed(0);
    return showError(`${file.name} has ${size} MB; this page reads files up to 32 MB.`);
  }
  let bytes;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    return showError(`${file.name} cannot be read: ${error.message}`);
  }
  if (!file.name.endsWith(".safetensors")) return takeNames(bytes, file.name);
  pendingSource = file.name;
  askForRun("load", { bytes }, [bytes.buffer]);
}

function takeNames(bytes, name) {
  pendingSource = name;
  askForRun("names", { bytes }, bytes ? [bytes.buffer] : []);
}

// From the worker.

const news = {
  ready({ build }) {
    $("build").textContent = build;
    takeNames(null, source);
  },

  names({ count }) {
    trainsNext = state !== "loading";
    source = pendingSource;
    $("source").textContent = `Names: ${source}, ${number.format(count)} of them.`;
    $("sample").hidden = source === "the built-in sample";
  },

  started({ settings: started, isLoaded, parameters, letters, validation }) {
    settings = started;
    const { layers } = settings; // a weight file may be of the model that was not chosen
    fields.layers.value = layers;
    history = { frames: [{ step: 0, letters }], looks: [{ step: 0, validation }], inventions: [] };
    [latest, shown, seconds, listed] = [0, 0, 0, 0];
    end = settings.steps;
    isBack = false;
    $("names").replaceChildren();
    $("parameters").textContent = number.format(parameters);
    $("axes").textContent =
      layers === 1 ? "their two learned numbers" : "two principal components of ten numbers";
    for (const id of ["train-loss", "test-loss", "checksum"]) $(id).textContent = "–";
    showLoss("validation", validation);
    isStarting = false;
    setState("ready");
    if (isLoaded) say(`Ready, with the weights of ${pendingSource}.`);
    showTime();
    describe();
    follow();
    if (trainsNext) train();
    trainsNext = false;
  },

  frames({ frames, seconds: sofar }) {
    history.frames.push(...frames);
    latest = frames.at(-1).step;
    seconds = sofar;
    showProgress();
    follow();
  },

  look({ step, validation }) {
    history.looks.push({ step, validation });
    showLoss("validation", validation);
    follow();
  },

  invented({ step, names }) {
    history.inventions.push({ step, names });
    follow();
  },

  stopped({ step, seconds: total, isFinished, checksum }) {
    [latest, seconds] = [step, total];
    $("checksum").textContent = checksum;
    setState(isFinished ? "finished" : "paused");
    showTime();
    describe();
    follow();
  },

  loss({ part, loss }) {
    showLoss(part, loss);
  },

  saved({ bytes }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    link.download = `names-${settings.layers}-seed-${settings.seed}.safetensors`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  },

  failed({ task, text, isBroken }) {
    isStarting = trainsNext = false;
    if (isBroken) setState("broken");
    showError(task === "names" || task === "load" ? `${pendingSource}: ${text}.` : `${text}.`);
  },
};

worker.addEventListener("message", ({ data }) => news[data.news](data));
worker.addEventListener("error", (event) => {
  setState("broken");
  showError(`The trainer could not be started: ${event.message ?? "is this an old browser?"}`);
});

// What is shown.

const LABELS = {
  loading: () => "Train",
  ready: () => `Train ${number.format(settings.steps)} steps`,
  training: () => "Pause",
  paused: () => "Go on",
  finished: () => `Train ${number.format(settings.steps)} more`,
  broken: () => "Train",
};

function setState(next) {
  state = next;
  document.body.dataset.state = state;
  const isUsable = state !== "loading" && state !== "broken";
  $("main").disabled = !isUsable;
  $("main").textContent = LABELS[state]();
  $("restart").hidden = !["paused", "finished"].includes(state);
  const isIdle = ["ready", "paused", "finished"].includes(state);
  for (const id of ["invent", "save"]) $(id).disabled = !isIdle;
  showUnused();
  const each = latest > 0 ? ` (${duration(seconds / latest)} a step)` : "";
  const steps = number.format(latest);
  const status = {
    ready: "Ready, with random numbers for parameters.",
    training: "Training.",
    paused: `Paused after ${steps} steps.`,
    finished: `${steps} steps took ${inSeconds(seconds)} s${each}.${slowed()}`,
    broken: "The trainer has stopped. Reload the page to start it again.",
  }[state];
  if (status) say(status);
  showProgress();
}

/** For everyone, and read aloud. */
function say(text) {
  $("status").textContent = text;
}

/** What the pictures do, where they are behind. */
function slowed() {
  const isBehind = !isCalm.matches && seconds < WATCHED / 1_000;
  return isBehind ? " Slowed down below, to watch." : "";
}

/** Not read aloud: the status says when it is over. */
function showProgress() {
  const isTraining = state === "training";
  $("main").style.setProperty("--done", isTraining ? `${(100 * latest) / end}%` : "100%");
  $("progress").hidden = !isTraining;
  $("progress").textContent =
    `${number.format(latest)} of ${number.format(end)} steps, ${inSeconds(seconds)} s`;
}

function showLoss(part, loss) {
  $(`${part}-loss`).textContent = `${loss.toFixed(4)} nats`;
}

function showError(text) {
  $("error").textContent = text.replace(/\.\.$/, ".");
  $("error").hidden = false;
  $("error").scrollIntoView({ block: "nearest" });
}

function clearError() {
  $("error").hidden = true;
}

const inSeconds = (value) => value.toFixed(value < 10 ? 2 : 0);

function duration(value) {
  return value < 1e-3 ? `${(value * 1e6).toFixed(0)} µs` : `${(value * 1e3).toFixed(1)} ms`;
}

/** This tab's place among the times. */
function showTime() {
  const here = $("here");
  const isOver = state === "finished";
  const isAsLong = !isOver || latest === POST.steps;
  here.cells[0].textContent = isAsLong ? "this tab" : `this tab, ${number.format(latest)} steps`;
  here.cells[1].textContent = isOver ? inSeconds(seconds) : "–";
  if (isOver) place(here, seconds);
  else delete here.dataset.seconds;
  const { layers, batch } = settings;
  const isPosts = layers === POST.layers && batch === POST.batch && latest === POST.steps;
  $("comparison").hidden = !isOver;
  $("comparison").textContent = isPosts
    ? `The same model and as many steps: ${ratio(5.6 / seconds)} the post’s PyTorch.`
    : "This run had another model, batch or number of steps than the post’s.";
}

function ratio(value) {
  if (value < 1) return `${(1 / value).toFixed(1)} times as long as`;
  return `${value.toFixed(value < 10 ? 1 : 0)} times as fast as`;
}

/** Puts a row's dot on the axis, which is logarithmic. */
function place(row, value) {
  row.dataset.seconds = value;
  row.cells[2].style.setProperty("--at", at(value));
}

function at(value) {
  const part = Math.log(value / FASTEST) / Math.log(SLOWEST / FASTEST);
  return `${100 * Math.min(Math.max(part, 0), 1)}%`;
}

for (const row of $("times").tBodies[0].rows) {
  if (row.dataset.seconds) place(row, Number(row.dataset.seconds));
}
for (const value of [0.1, 1, 10, 100]) {
  const mark = document.createElement("span");
  mark.textContent = `${value} s`;
  mark.style.setProperty("--at", at(value));
  $("times").querySelector(".scale").append(mark);
}

/** The pictures in words. */
function describe() {
  const { validation } = history.looks.at(-1);
  const steps = number.format(latest);
  const loss = `${validation.toFixed(2)} nats a letter on the validation part`;
  $("loss").ariaLabel = `The loss curve: ${loss} after ${steps} steps`;
  $("letters").ariaLabel = `The letters at the places that the model has learned in ${steps} steps`;
}

/** New rows of names, when the pictures have reached their step. */
function listNames() {
  for (const { step, names } of history.inventions.slice(listed)) {
    if (step > shown) return;
    listed += 1;
    const row = document.createElement("div");
    const [term, definition] = ["dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = step === 0 ? "before training" : `after ${number.format(step)} steps`;
    for (const name of names) {
      const span = document.createElement("span");
      span.textContent = name || "(empty)";
      definition.append(span, " ");
    }
    row.append(term, definition);
    const isAgain = $("names").firstChild?.dataset.step === String(step);
    row.dataset.step = step;
    if (isAgain) $("names").firstChild.replaceWith(row);
    else $("names").prepend(row);
    $("names").querySelector(".last")?.classList.remove("last");
    row.classList.add("last");
  }
}

// The pace of the pictures.

let frameRequest = 0;
let lastTime;

/** Draws soon, and goes on until the pictures have reached the trainer. */
function follow() {
  if (!settings) return;
  frameRequest ||= requestAnimationFrame(frame);
}

function frame(time) {
  frameRequest = 0;
  const passed = Math.min(time - (lastTime ?? time), 100);
  lastTime = time;
  if (!isBack) {
    const pace = (passed * settings.steps) / WATCHED;
    shown = isCalm.matches ? latest : Math.min(shown + pace, latest);
  }
  const isMoving = draw();
  if (isMoving || (!isBack && shown < latest)) follow();
  else lastTime = undefined;
}

function draw() {
  const step = Math.round(shown);
  $("moment").max = Math.max(latest, 1);
  $("moment").value = step;
  $("moment").disabled = latest === 0;
  $("step").value = number.format(step);
  listNames();
  drawLoss($("loss"), history, shown, Math.max(end, 1), isBack);
  return lettersPicture.draw(history, shown, !isCalm.matches, isCalm.matches ? 120 : 3);
}

$("moment").addEventListener("input", ({ target }) => {
  shown = Number(target.value);
  isBack = shown < latest;
  follow();
});

new ResizeObserver(follow).observe($("pictures"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
isCalm.addEventListener("change", follow);

setState("loading");
ask("prepare", { isScalar });
