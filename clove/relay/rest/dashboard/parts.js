// What several views show.
import {Component, html} from './html.js';
import {problemOf} from './api.js';
import {age, duration, shown} from './text.js';

/** A text that others chose, kept from turning its surroundings around. */
export const Text = ({children, class: style}) => html`<bdi class=${style}>${shown(children)}</bdi>`;

/** How long ago; the exact time on the pointer. */
export const Ago = ({time}) =>
  time ? html`<time datetime=${time} title=${time}>${duration(age(time))}</time>` : html`<span>never</span>`;

/** What went wrong, and what to do. */
export const Note = ({problem}) =>
  problem &&
  html`<div class="note" role="alert">
    <strong>${shown(problem.message)}</strong>
    ${problem.hint && html`<span>${shown(problem.hint)}</span>`}
  </div>`;

/** Nothing is there; what to do next. */
export const Empty = ({title, children}) =>
  html`<section class="empty"><h2>${title}</h2>${children}</section>`;

/** Commands for a terminal. */
export class Commands extends Component {
  copy = async () => {
    await navigator.clipboard.writeText(this.props.text);
    this.setState({copied: true});
  };

  render({text, secret}, {copied}) {
    return html`<div class=${secret ? 'commands secret' : 'commands'}>
      <pre tabindex="0">${text}</pre>
      ${navigator.clipboard &&
      html`<button type="button" class="quiet" onClick=${this.copy}>${copied ? 'Copied' : 'Copy'}</button>`}
    </div>`;
  }
}

const PRESENCE = {connected: 'good', stale: 'doubtful', disconnected: 'bad'};

/** Whether a machine is there, and since when: by a word, a shape and a colour. */
export const Presence = ({machine}) => {
  const {presence, presence_since: since} = machine;
  if (presence === 'disconnected' && !since) return html`<span class="state off"><b>not connected yet</b></span>`;
  return html`<span class="state ${PRESENCE[presence] || 'bad'}">
    <b>${presence}</b>
    ${since && html`<span class="dim">${presence === 'disconnected' ? 'last seen' : 'for'} <${Ago} time=${since} />${presence === 'disconnected' ? ' ago' : ''}</span>`}
  </span>`;
};

export const Labels = ({labels}) =>
  html`${Object.entries(labels).map(([key, value]) => html`<span class="label"><${Text}>${value ? `${key}=${value}` : key}<//></span>`)}`;

/** A question before what cannot be undone. */
export class Sure extends Component {
  state = {};

  shownDialog = (dialog) => {
    this.dialog = dialog;
    if (dialog && !dialog.open) dialog.showModal();
  };

  cancel = () => this.dialog.close();

  act = async (event) => {
    event.preventDefault();
    this.setState({busy: true, problem: null});
    try {
      await this.props.act();
      this.dialog.close();
    } catch (error) {
      this.setState({busy: false, problem: problemOf(error)});
    }
  };

  render({title, children, verb, close}, {busy, problem}) {
    return html`<dialog ref=${this.shownDialog} onClose=${close} aria-labelledby="sure">
      <form onSubmit=${this.act}>
        <h2 id="sure">${title}</h2>
        ${children}
        <${Note} problem=${problem} />
        <p class="actions">
          <button type="button" class="quiet" onClick=${this.cancel}>Cancel</button>
          <button class="danger" disabled=${busy}>${verb}</button>
        </p>
      </form>
    </dialog>`;
  }
}

/**
 * What is asked again and again while the tab is seen. Its subclasses have `load()`, which gives
 * what there is, and `view(props, state)`, which shows `state.data`.
 */
export class Watched extends Component {
  state = {};
  pause = 2000;

  componentDidMount() {
    document.addEventListener('visibilitychange', this.seen);
    this.again();
  }

  componentWillUnmount() {
    this.over = true;
    document.removeEventListener('visibilitychange', this.seen);
    clearTimeout(this.timer);
  }

  seen = () => {
    if (!document.hidden) this.again();
  };

  /** Ask now; what an earlier question brings does not count any more. */
  again = async () => {
    clearTimeout(this.timer);
    const turn = (this.turn = {});
    const began = performance.now();
    let found;
    try {
      found = {data: await this.load(), problem: null};
    } catch (error) {
      found = {problem: problemOf(error)};
    }
    if (this.over || this.turn !== turn) return;
    if (found.problem && found.problem.status === 401) {
      this.props.leave(found.problem);
      return;
    }
    this.setState(found);
    const pause = Math.max(this.pause, 4 * (performance.now() - began));
    this.timer = setTimeout(() => document.hidden || this.again(), pause);
  };

  render(props, state) {
    if (state.data === undefined) {
      return state.problem ? html`<${Note} problem=${state.problem} />` : html`<p class="dim" aria-busy="true">Loading …</p>`;
    }
    return html`<${Note} problem=${state.problem} />${this.view(props, state)}`;
  }
}

