// Trains in slices of some milliseconds, so that the page's wishes are heard between them.
//
// The page sends { task, … }, and is sent { news, … }. Only the calls that train are timed: not the
// looks at the validation loss, the invented names, and what the page draws.

import { Refusal, Trainer } from "./trainer.js";

/** Milliseconds of a slice, and of a call in it, after which the page gets a frame. */
const SLICE = 30;
const LONGEST_CALL = 20;
/** Steps of a call at first, and at most. */
const FIRST_STEPS = 5;
const MOST_STEPS = 50;
/** Looks at the validation loss in a run. */
const LOOKS = 20;
/** Steps after which names are invented, and the loss looked at, besides the last. */
const INVENTIONS = [100, 300, 1_000, 3_000];
const NAMES_ALONG_THE_WAY = 6;
const NAMES_AT_THE_END = 20;

let trainer;
/** Steps taken; where the training stops; the seconds that it took. */
let step = 0;
let end = 0;
let seconds = 0;
let lookEvery = 1;
let callSteps = FIRST_STEPS;
/** Which run of the loop in `train` is the one that counts, and whether it is to end. */
let run = 0;
let isPaused = false;

const tell = (news, transfer = []) => postMessage(news, transfer);
/** Lets messages of the page come in. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

const tasks = {
  async prepare({ isScalar }) {
    trainer = await Trainer.load(isScalar);
    tell({ news: "ready", build: trainer.build });
  },

  /** Takes names, a file's or the sample, and starts anew. */
  names({ bytes, settings }) {
    const count = trainer.takeNames(bytes);
    tell({ news: "names", count });
    tasks.start({ settings });
  },

  start({ settings }) {
    trainer.start(settings);
    begin(settings, false);
  },

  load({ bytes, settings }) {
    const layers = trainer.load(bytes, settings);
    begin({ ...settings, layers }, true);
  },

  /** Trains until so many steps are taken. */
  async train({ until }) {
    end = until;
    isPaused = false;
    run += 1;
    const mine = run;
    try {
      while (run === mine && !isPaused && step < end) {
        slice();
        await turn();
      }
    } finally {
      if (run === mine) {
        const isFinished = step >= end;
        tell({ news: "stopped", step, seconds, isFinished, checksum: trainer.checksum() });
      }
    }
    if (run === mine && step >= end) judge();
  },

  pause() {
    isPaused = true;
  },

  invent() {
    invent(NAMES_AT_THE_END);
  },

  save() {
    const bytes = trainer.weights();
    tell({ news: "saved", bytes }, [bytes.buffer]);
  },
};

/** The state before the first step of a run. */
function begin(settings, isLoaded) {
  run += 1;
  [step, seconds, callSteps] = [0, 0, FIRST_STEPS];
  end = settings.steps;
  lookEvery = Math.ceil(end / LOOKS);
  tell({
    news: "started",
    settings,
    isLoaded,
    parameters: trainer.parameters(),
    letters: trainer.letters(),
    validation: trainer.evaluate("validation"),
  });
  invent(NAMES_ALONG_THE_WAY);
}

function slice() {
  const begun = performance.now();
  const frames = [];
  const isLook = () => step % lookEvery === 0 || step >= end || INVENTIONS.includes(step);
  do frames.push(call());
  while (!isLook() && performance.now() - begun < SLICE);
  tell({ news: "frames", frames, seconds });
  if (isLook()) tell({ news: "look", step, validation: trainer.evaluate("validation") });
  if (step >= end) invent(NAMES_AT_THE_END);
  else if (INVENTIONS.includes(step)) invent(NAMES_ALONG_THE_WAY);
}

/** Some steps, at most up to the next stop: the only place where time is taken. */
function call() {
  const nextLook = step - (step % lookEvery) + lookEvery;
  const stops = [end, nextLook, ...INVENTIONS.filter((stop) => stop > step)];
  const steps = Math.min(callSteps, ...stops.map((stop) => stop - step));
  const begun = performance.now();
  const loss = trainer.train(steps);
  const milliseconds = performance.now() - begun;
  step += steps;
  seconds += milliseconds / 1_000;
  if (milliseconds > LONGEST_CALL) callSteps = Math.max(1, steps >> 1);
  else if (milliseconds < LONGEST_CALL / 4) {
    callSteps = Math.min(MOST_STEPS, callSteps + FIRST_STEPS);
  }
  return { step, loss, letters: trainer.letters() };
}

function invent(count) {
  tell({ news: "invented", step, names: Array.from({ length: count }, () => trainer.invent()) });
}

/** The losses after a run, the longest part last. */
function judge() {
  for (const part of ["validation", "test", "train"]) {
    tell({ news: "loss", part, loss: trainer.evaluate(part) });
  }
}

onmessage = async ({ data }) => {
  try {
    await tasks[data.task](data);
  } catch (error) {
    const text = error instanceof Refusal ? error.message : `The trainer stopped: ${error.message}`;
    tell({ news: "failed", task: data.task, text, isBroken: !(error instanceof Refusal) });
  }
};
