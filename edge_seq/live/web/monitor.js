// The page of `edge-seq monitor`: shows what the server of monitor_web.py sends.
import {at, build, clear, number, showState, take, tell} from "./view.js";

const counted = (key) => (latest) => [number(latest[key], 0), latest[key] > 0];

const figuresOf = (about) => [
  ["samples", (latest) => [number(latest.samples, 0)]],
  [`rate of ${number(about.expected_hz, 0)} Hz`, ({rate_hz: rate}) =>
    rate === null ? ["measuring"] : [`${number(rate, 1)} Hz`, Math.abs(rate / about.expected_hz - 1) > 0.07]],
  ["frame errors", counted("frame_errors")],
  ["gaps", counted("gaps")],
  ["samples lost", counted("lost")],
  ["of them on the board", counted("dropped_by_board")],
  ["reconnects", counted("reconnects")],
  ["board restarts", counted("restarts")],
  ["watched for", (latest) => [`${number(latest.seconds, 0)} s`]],
];

function listen() {
  const events = new EventSource("events");
  let ended = false;
  events.onopen = clear;
  events.onmessage = (event) => {
    const snapshot = JSON.parse(event.data);
    ended = snapshot.ended !== null;
    take(snapshot);
    showState();
  };
  events.onerror = () => {
    if (ended) events.close();
    else tell("no connection to edge-seq, trying again", "off");
  };
}

fetch("about").then((answer) => answer.json()).then((about) => {
  at("where").textContent = `${about.source} \u2013 decided by ${about.decider}`;
  build(about, figuresOf(about));
  listen();
}).catch(() => tell("no connection to edge-seq", "off"));
