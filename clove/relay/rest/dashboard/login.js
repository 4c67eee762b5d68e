// The door: a token typed into a field.
import {Component, html} from './html.js';
import {ask, problemOf, session, unfit} from './api.js';
import {Note} from './parts.js';

export class Login extends Component {
  enter = async (event) => {
    event.preventDefault();
    const text = event.target.elements.token.value.trim();
    const wrong = unfit(text);
    if (wrong) {
      this.setState({problem: {message: wrong}});
      return;
    }
    this.setState({busy: true, problem: null});
    session.token = text;
    try {
      await ask('GET', 'status');
      this.props.entered();
    } catch (error) {
      session.token = '';
      this.setState({busy: false, problem: problemOf(error)});
    }
  };

  focus = (field) => field && field.focus();

  render({reason}, {busy, problem = reason}) {
    return html`<main class="login" id="main">
      <h1>Clove</h1>
      <p>The fleet of this relay: its machines, what runs there, and who may do what.</p>
      <form method="post" onSubmit=${this.enter}>
        <label for="token">Token</label>
        <input id="token" type="password" ref=${this.focus} required autocomplete="off" spellcheck=${false} aria-describedby="kept" />
        <button disabled=${busy}>${busy ? 'Looking …' : 'Log in'}</button>
      </form>
      <${Note} problem=${problem} />
      <p class="dim" id="kept">It stays in this tab until you log out or close it. The relay showed the first one at its first start, or wrote it to <code>admin-token</code> in its state directory; <code>clove tokens create --kind admin</code> makes another, and <code>twistd clove-relay --admin-token</code> where all are lost.</p>
    </main>`;
  }
}
