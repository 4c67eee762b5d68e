// The page: who is logged in, and which view the address names.
import {Component, html, render} from './html.js';
import {session} from './api.js';
import {Computer} from './computer.js';
import {Denials} from './denials.js';
import {Log} from './log.js';
import {Login} from './login.js';
import {Machine} from './machine.js';
import {Machines} from './machines.js';
import {Tokens} from './tokens.js';
import {shown} from './text.js';

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** What the address names. */
function route() {
  const [view, machine, more, agent] = location.hash.replace(/^#\/?/, '').split('/').map(decoded);
  if (view === 'tokens' || view === 'denials' || view === 'login') return {view};
  if (view === 'machines' && machine && more === 'agents' && /^\d+$/.test(agent)) {
    return {view: 'log', machine, agent: Number(agent), title: `agent ${agent}`};
  }
  if (view === 'machines' && machine) return {view: 'machine', machine, title: machine};
  return {view: 'machines'};
}

class Page extends Component {
  state = {route: route(), inside: Boolean(session.token)};

  componentDidMount() {
    addEventListener('hashchange', this.moved);
    addEventListener('keydown', this.key);
    this.title();
  }

  moved = () => {
    this.setState({route: route()});
    this.title();
    scrollTo(0, 0);
    this.fresh = true;
  };

  /** A new view begins at its heading, for the keyboard and for those who listen. */
  componentDidUpdate() {
    if (this.fresh) this.look = setInterval(this.toHeading, 50, (this.fresh = false));
  }

  toHeading = () => {
    const heading = document.querySelector('main h1');
    if (!heading) return;
    clearInterval(this.look);
    if (document.activeElement === document.body) heading.focus({preventScroll: true});
  };

  key = (event) => {
    const field = document.querySelector('input[type=search]');
    const typing = event.target.closest('input, select, dialog, pre');
    if (event.key !== '/' || typing || !field || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    field.focus();
  };

  title() {
    const {view, title} = route();
    const name = title || {tokens: 'Tokens', denials: 'Denials', login: 'Log a computer in', machines: 'Machines'}[view];
    document.title = `${shown(name)} · Clove`;
  }

  leave = (reason) => {
    session.token = '';
    this.setState({inside: false, reason});
  };

  entered = () => this.setState({inside: true, reason: null});

  logOut = () => this.leave(null);

  view({view, machine, agent}) {
    const {leave} = this;
    if (view === 'tokens') return html`<${Tokens} leave=${leave} />`;
    if (view === 'login') return html`<${Computer} leave=${leave} />`;
    if (view === 'denials') return html`<${Denials} leave=${leave} />`;
    if (view === 'machine') return html`<${Machine} key=${machine} machine=${machine} leave=${leave} />`;
    if (view === 'log') return html`<${Log} key=${`${machine}/${agent}`} machine=${machine} agent=${agent} leave=${leave} />`;
    return html`<${Machines} leave=${leave} />`;
  }

  render(props, {route: at, inside, reason}) {
    if (!inside) return html`<${Login} entered=${this.entered} reason=${reason} />`;
    const here = (yes) => (yes ? 'page' : undefined);
    return html`
      <a class="skip" href="#main" onClick=${this.skip}>To the content</a>
      <nav aria-label="Views">
        <a class="home" href="#/machines"><img src="page/icon.svg" alt="" width="22" height="22" /><span>Clove</span></a>
        <a href="#/machines" aria-current=${here(!['tokens', 'denials', 'login'].includes(at.view))}>Machines</a>
        ${session.kind === 'admin' && html`<a href="#/tokens" aria-current=${here(at.view === 'tokens')}>Tokens</a>`}
        ${session.kind === 'admin' && html`<a href="#/denials" aria-current=${here(at.view === 'denials')}>Denials</a>`}
        <a href="api/v1/docs">API</a>
        <button type="button" class="quiet" onClick=${this.logOut}>Log out</button>
      </nav>
      <main id="main" tabindex="-1">${this.view(at)}</main>
    `;
  }

  skip = (event) => {
    event.preventDefault();
    document.getElementById('main').focus();
  };
}

render(html`<${Page} />`, document.getElementById('page'));
