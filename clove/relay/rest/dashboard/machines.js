// All machines.
import {html} from './html.js';
import {ask, session} from './api.js';
import {Commands, Empty, Labels, Presence, Text, Watched} from './parts.js';
import {count, duration} from './text.js';

const PAGE = 100;
const MOST = 1000;

/** Where a machine's own view is. */
export const machineLink = (id) => `#/machines/${encodeURIComponent(id)}`;

/** What kernels dial, as far as this page can tell. */
export function tunnelUrl() {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.hostname}:8765`;
}

function matches(machine, words) {
  const labels = Object.entries(machine.labels).map((each) => each.join('='));
  const text = [machine.machine_id, machine.name, machine.presence, machine.provider, ...labels];
  return words.every((word) => text.some((each) => each.toLowerCase().includes(word)));
}

const Row = ({machine}) => html`<li class="row">
  <div class="what">
    <a href=${machineLink(machine.machine_id)}><${Text}>${machine.name || machine.machine_id}<//></a>
    ${machine.name && html`<${Text} class="dim mono">${machine.machine_id}<//>`}
    ${machine.draining && html`<span class="flag">draining</span>`}
    ${machine.flags.map((flag) => html`<span class="flag bad"><${Text}>${flag.what.replaceAll('_', ' ')}<//></span>`)}
  </div>
  <${Presence} machine=${machine} />
  <div class="more"><${Labels} labels=${machine.labels} /></div>
</li>`;

const None = () =>
  session.kind === 'admin'
    ? html`<${Empty} title="No machine yet">
        <p>A machine joins with two commands. Here, or wherever the relay is managed, this one makes a token; so does <a href="#/tokens">Tokens</a>:</p>
        <${Commands} text="clove machines join build-7" />
        <p>On the machine, whose kernel runs, this one asks for it:</p>
        <${Commands} text=${`clove tunnel join ${tunnelUrl()} build-7`} />
        <p class="dim">The port of tunnels is 8765 unless the relay's configuration says otherwise.</p>
      <//>`
    : html`<${Empty} title="No machine that this token may see">
        <p>An administrator says which machines a token reaches:</p>
        <${Commands} text=${'clove tokens create --kind agent --machine build-7'} />
      <//>`;

export class Machines extends Watched {
  limit = PAGE;

  async load() {
    const [status, found] = await Promise.all([
      ask('GET', 'status'),
      ask('GET', `machines?limit=${this.limit}`),
    ]);
    return {status, machines: found.machines, more: Boolean(found.next)};
  }

  showMore = () => {
    this.limit = Math.min(MOST, this.limit * 10);
    this.again();
  };

  filter = (event) => this.setState({words: event.target.value.toLowerCase().split(/\s+/).filter(Boolean)});

  open = (event) => {
    event.preventDefault();
    const [first] = this.chosen || [];
    const text = event.target.elements.filter.value.trim();
    if (first) location.hash = machineLink(first.machine_id);
    else if (text) location.hash = machineLink(text);
  };

  view(props, {data: {status, machines, more}, words = []}) {
    const chosen = (this.chosen = machines.filter((each) => matches(each, words)));
    return html`
      <header class="head">
        <h1 tabindex="-1">Machines</h1>
        <p class="sum"><span><b>${status.machines_connected}</b> of ${count(status.machines, 'machine')} connected</span>
          <span class="dim">${count(status.agents, 'remote agent')}</span>
          <span class="dim">relay ${status.version}, up ${duration(status.uptime_seconds)}</span></p>
      </header>
      ${machines.length === 0 && html`<${None} />`}
      ${machines.length > 0 &&
      html`<form class="filter" role="search" onSubmit=${this.open}>
          <input name="filter" type="search" aria-label="Filter by name, label or state; Enter opens the first"
            placeholder="Filter: build, env=prod, stale …" autocomplete="off" spellcheck=${false} onInput=${this.filter} />
        </form>
        <ul class="rows machines">${chosen.map((each) => html`<${Row} key=${each.machine_id} machine=${each} />`)}</ul>
        ${chosen.length === 0 && html`<p class="dim">None of these matches. Enter opens the machine with exactly this id.</p>`}
        ${more && html`<p class="dim">The first ${machines.length} by id are shown.
            ${this.limit < MOST ? html` <button type="button" class="quiet" onClick=${this.showMore}>Show more</button>` : html` <code>clove machines list</code> has all.`}</p>`}`}
    `;
  }
}
