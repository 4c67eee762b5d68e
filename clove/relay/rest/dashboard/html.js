// preact and htm together: html`...` makes what preact renders. All values become text, never markup.
import htm from './htm.mjs';
import {Component, h, render} from './preact.mjs';

const html = htm.bind(h);

export {Component, html, render};
