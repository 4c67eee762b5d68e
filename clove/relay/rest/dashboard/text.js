// Texts that others chose, and times, as people read them.

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
// Colours, cursor movements and titles of terminals: left out.
const TERMINAL = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?)/g;

/** A text without characters that are not seen or turn its order around: these are shown by number. */
export function shown(text) {
  return String(text).replace(CONTROL, (each) => {
    return `\u27e8${each.charCodeAt(0).toString(16).padStart(2, '0')}\u27e9`;
  });
}

/** A line of output, also without what steers terminals. */
export function line(text) {
  return shown(String(text).replace(TERMINAL, '').replace(/\r$/, ''));
}

const UNITS = [
  ['d', 86400],
  ['h', 3600],
  ['min', 60],
];

/** Seconds, roughly: 3 min. */
export function duration(seconds) {
  for (const [name, size] of UNITS) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${name}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

/** How long ago a time of the API was, in seconds. */
export function age(time) {
  return Math.max(0, (Date.now() - Date.parse(time)) / 1000);
}

/** A number of things. */
export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}
