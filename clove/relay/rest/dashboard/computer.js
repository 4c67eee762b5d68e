// A computer that asks for a token of its own: one types the code that it shows, looks, and decides.
import {Component, html} from './html.js';
import {ask, problemOf} from './api.js';
import {Note, Text} from './parts.js';

const LIVES = [
  [24, '1 day'],
  [168, '7 days'],
  [720, '30 days'],
  [8760, '1 year'],
];

export class Computer extends Component {
  state = {};

  /** Does something, and goes on to what it gives. */
  async step(act) {
    this.setState({busy: true, problem: null});
    try {
      this.setState({busy: false, ...(await act())});
    } catch (error) {
      const problem = problemOf(error);
      if (problem.status === 401) this.props.leave(problem);
      else this.setState({busy: false, waiting: null, problem});
    }
  }

  look = (event) => {
    event.preventDefault();
    const letters = event.target.elements.code.value.toUpperCase().replace(/[^A-Z]/g, '');
    if (letters.length !== 8) {
      this.setState({done: null, problem: {message: 'A code has eight letters, such as BCDF-GHJK.'}});
      return;
    }
    const code = `${letters.slice(0, 4)}-${letters.slice(4)}`;
    this.step(async () => ({waiting: await ask('GET', `logins/${encodeURIComponent(code)}`), done: null}));
  };

  confirm = (event) => {
    event.preventDefault();
    const {name, hours} = event.target.elements;
    const body = {name: name.value.trim(), expires_hours: Number(hours.value)};
    const path = `logins/${this.state.waiting.user_code}/confirm`;
    this.step(async () => ({done: await ask('POST', path, body), waiting: null, yes: true}));
  };

  refuse = () => {
    const path = `logins/${this.state.waiting.user_code}`;
    this.step(async () => ({done: await ask('DELETE', path), waiting: null, yes: false}));
  };

  focus = (field) => field && field.focus();

  /** A form of its own (key): a second Enter in the field of the code confirms nothing. */
  asked({name, source, user_code: code}, busy) {
    return html`<form class="new" key="asked" onSubmit=${this.confirm}>
      <p>The computer that shows <b class="mono">${code}</b> says that it is <b><${Text}>${name || 'without a name'}<//></b>, and comes from <b><${Text}>${source}<//></b>.</p>
      <p>Confirm this only if you have started <code>clove login --browser</code> there yourself, just now. It may do everything with this relay then.</p>
      <label>What for <input name="name" maxlength="128" value=${name} autocomplete="off" /></label>
      <label>Good for
        <select name="hours">${LIVES.map(([hours, text]) => html`<option value=${hours} selected=${hours === 720}>${text}</option>`)}</select></label>
      <p class="actions"><button type="button" class="quiet" onClick=${this.refuse} disabled=${busy}>Refuse</button><button class="danger" disabled=${busy}>Give it a token</button></p>
    </form>`;
  }

  render(props, {waiting, done, yes, busy, problem}) {
    return html`
      <header class="head"><h1 tabindex="-1">Log a computer in</h1></header>
      ${done && html`<p role="status"><b><${Text}>${done.name || done.user_code}<//></b> ${yes ? 'gets its token now.' : 'was refused.'}</p>`}
      <${Note} problem=${problem} />
      ${waiting
        ? this.asked(waiting, busy)
        : html`<form class="new" key="look" onSubmit=${this.look}>
            <label>The code that it shows <input name="code" ref=${this.focus} required maxlength="12" placeholder="BCDF-GHJK" autocomplete="off" spellcheck=${false} /></label>
            <p class="dim"><code>clove login --browser ${location.origin}</code> shows one, good for ten minutes.</p>
            <p class="actions"><button disabled=${busy}>Look</button></p>
          </form>`}
    `;
  }
}
