// Tokens: which there are, a new one, the end of one.
import {Component, html} from './html.js';
import {ask, problemOf} from './api.js';
import {tunnelUrl} from './machines.js';
import {Ago, Commands, Note, Sure, Text, Watched} from './parts.js';
import {count, duration} from './text.js';

const PAGE = 1000;

const KINDS = {
  join: {about: 'one machine’s first connection, once', hours: 1, machine: true},
  agent: {about: 'remote agents, on one machine', hours: 24, machine: true},
  admin: {about: 'someone who manages the fleet', hours: 720, machine: false},
  machine: {about: 'one machine’s tunnel of version 1', hours: 720, machine: true},
};

const LIVES = [
  [1, '1 hour'],
  [24, '1 day'],
  [168, '7 days'],
  [720, '30 days'],
  [8760, '1 year'],
];

/** What is typed where the token is used. */
function next({type, machine_id: machine}) {
  if (type === 'join') return `clove tunnel join ${tunnelUrl()} ${machine}`;
  if (type === 'admin') return `clove login ${location.origin}`;
  return '';
}

class New extends Component {
  state = {kind: 'join'};

  choose = (event) => this.setState({kind: event.target.value});

  make = async (event) => {
    event.preventDefault();
    const fields = event.target.elements;
    const {kind} = this.state;
    const body = {name: fields.name.value.trim(), expires_hours: Number(fields.hours.value)};
    const machine = KINDS[kind].machine ? fields.machine.value.trim() : '';
    if (kind === 'agent') body.target_machine = machine;
    else if (machine) body.machine_id = machine;
    this.setState({busy: true, problem: null});
    try {
      this.props.made(await ask('POST', `tokens/${kind}`, body));
    } catch (error) {
      this.setState({busy: false, problem: problemOf(error)});
    }
  };

  focus = (field) => field && field.focus();

  render({close}, {kind, busy, problem}) {
    const chosen = KINDS[kind];
    return html`<form class="new" onSubmit=${this.make}>
      <label>Kind
        <select name="kind" ref=${this.focus} value=${kind} onChange=${this.choose}>
          ${Object.keys(KINDS).map((each) => html`<option value=${each}>${each}</option>`)}
        </select></label>
      ${chosen.machine && html`<label>Machine <input name="machine" required maxlength="128" placeholder="build-7" autocomplete="off" spellcheck=${false} /></label>`}
      <label>What for <input name="name" maxlength="128" placeholder=${kind === 'admin' ? 'ann' : 'optional'} autocomplete="off" /></label>
      <label>Good for
        <select name="hours" key=${kind}>
          ${LIVES.map(([hours, name]) => html`<option value=${hours} selected=${hours === chosen.hours}>${name}</option>`)}
        </select></label>
      <p class="dim">For ${chosen.about}.</p>
      <${Note} problem=${problem} />
      <p class="actions"><button type="button" class="quiet" onClick=${close}>Cancel</button><button disabled=${busy}>Make the token</button></p>
    </form>`;
  }
}

const Made = ({token, close}) => {
  const command = next(token);
  return html`<section class="made" role="status">
    <h2>The new ${token.type} token</h2>
    <p>It is shown this once, and the relay keeps only its hash. Copy it now.</p>
    <${Commands} text=${token.token} secret />
    ${command && html`<p class="dim">This asks for it:</p><${Commands} text=${command} />`}
    <p class="actions"><button type="button" onClick=${close}>I have it</button></p>
  </section>`;
};

function target(token) {
  const labels = Object.entries(token.labels).map(([key, value]) => `${key}=${value}`);
  return [token.machine_id, ...token.target_machines, ...labels].filter(Boolean).join(', ');
}

const Validity = ({token}) => {
  if (token.valid) {
    const left = token.expires_at && duration((Date.parse(token.expires_at) - Date.now()) / 1000);
    return html`<span class="state good"><b>valid</b><span class="dim">${left ? `for ${left} more` : 'without an end'}</span></span>`;
  }
  const [what, at] = token.revoked_at
    ? ['revoked', token.revoked_at]
    : token.used_at
      ? ['used', token.used_at]
      : ['expired', token.expires_at];
  return html`<span class="state off"><b>${what}</b><span class="dim"><${Ago} time=${at} /> ago</span></span>`;
};

export class Tokens extends Watched {
  pause = 5000;

  load() {
    return ask('GET', `tokens?limit=${PAGE}`);
  }

  made = (token) => {
    this.setState({making: false, token});
    this.again();
  };

  revoke = async () => {
    await ask('DELETE', `tokens/${this.state.revoking.id}`);
    this.again();
  };

  row = (token) => html`<li class="row" key=${token.id}>
    <div class="what">
      <span class="kind">${token.type}</span>
      <b><${Text}>${token.name || target(token) || 'without a name'}<//></b>
      ${token.name && target(token) && html`<${Text} class="dim">${target(token)}<//>`}
      <span class="dim mono">${token.id}</span>
    </div>
    <${Validity} token=${token} />
    <div class="more">
      <span class="dim">${token.last_used ? html`used <${Ago} time=${token.last_used} /> ago` : 'not used yet'}</span>
      ${token.valid && html`<button type="button" class="quiet" aria-label="Revoke ${token.type} token ${token.id}" onClick=${() => this.setState({revoking: token})}>Revoke</button>`}
    </div>
  </li>`;

  view(props, {data: {tokens, next: more}, making, token, revoking, all}) {
    const valid = tokens.filter((each) => each.valid);
    const old = tokens.length - valid.length;
    return html`
      <header class="head">
        <h1 tabindex="-1">Tokens</h1>
        <p class="sum"><span><b>${valid.length}</b> valid</span>
          ${!making && html`<button type="button" onClick=${() => this.setState({making: true, token: null})}>New token</button>`}
          <a href="#/login">Log a computer in</a></p>
      </header>
      ${making && html`<${New} made=${this.made} close=${() => this.setState({making: false})} />`}
      ${token && html`<${Made} token=${token} close=${() => this.setState({token: null})} />`}
      <ul class="rows tokens">${(all ? tokens : valid).map(this.row)}</ul>
      ${old > 0 && html`<p><button type="button" class="quiet" aria-expanded=${Boolean(all)} onClick=${() => this.setState({all: !all})}>${all ? 'Hide' : 'Show'} ${count(old, 'token')} that ${old === 1 ? 'is' : 'are'} not valid any more</button></p>`}
      ${more && html`<p class="dim">The first ${PAGE} are shown; <code>clove tokens list</code> has all.</p>`}
      ${revoking &&
      html`<${Sure} title="Revoke this token?" verb="Revoke" act=${this.revoke} close=${() => this.setState({revoking: null})}>
        <p>${revoking.type} <b><${Text}>${revoking.name || target(revoking) || revoking.id}<//></b>: what it has opened is cut at once, and it is never valid again.</p>
      <//>`}
    `;
  }
}
