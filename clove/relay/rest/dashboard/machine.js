// One machine: what it is, what it can isolate, its agents.
import {html} from './html.js';
import {ask, askAll, problemOf, session} from './api.js';
import {machineLink} from './machines.js';
import {Ago, Commands, Empty, Labels, Note, Presence, Sure, Text, Watched} from './parts.js';
import {duration, shown} from './text.js';

/** Where an agent's output is. */
export const logLink = (machine, agent) => `${machineLink(machine)}/agents/${agent}`;

const Fact = ({name, children}) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

/** What is nested, as lines of a path and a value. */
function flat(tree, path = '') {
  return Object.entries(tree).flatMap(([key, value]) => {
    const name = path ? `${path} ${key}` : key;
    if (value && typeof value === 'object' && !Array.isArray(value)) return flat(value, name);
    return [[name.replaceAll('_', ' '), value]];
  });
}

const Value = ({value}) => {
  if (value === true) return html`<span class="state good"><b>yes</b></span>`;
  if (value === false) return html`<span class="state bad"><b>no</b></span>`;
  return html`<${Text}>${Array.isArray(value) ? value.join(', ') || 'none' : value ?? 'unknown'}<//>`;
};

/** One mechanism, as `clove doctor` has it. */
const Feature = ({feature: {name, available, detail, remedy}}) => html`<li class="row">
  <span class="what mono"><${Text}>${name}<//></span>
  <span class="state ${available ? 'good' : 'doubtful'}"><b>${available ? 'yes' : 'no'}</b> <span class="dim">${shown(detail || '')}</span></span>
  <span class="dim remedy">${shown((!available && remedy) || '')}</span>
</li>`;

const Isolation = ({report: {sandbox, features, ...more}}) => html`<section>
  <h2>What it can isolate</h2>
  ${features === undefined && !Object.keys(more).length
    ? html`<p class="dim">Its kernel has not reported it. On the machine, <code>clove doctor</code> says.</p>`
    : html`<p>${sandbox === false ? 'Not enough for the default sandbox; ' : 'Enough for the default sandbox. '}${sandbox === false ? 'what is missing says what would help.' : 'Its kernel found out by trying.'}</p>
      ${Array.isArray(features) && html`<ul class="rows features">${features.map((each) => html`<${Feature} feature=${Object(each)} />`)}</ul>`}
      <dl class="facts">${flat(more).map(([name, value]) => html`<${Fact} name=${html`<${Text}>${name}<//>`}><${Value} value=${value} /><//>`)}</dl>`}
</section>`;

const STATES = {running: 'good', paused: 'doubtful', restarting: 'doubtful', starting: 'doubtful'};

function ending(agent) {
  if (!agent.ended) return '';
  const {reason, exit_code: code, signal} = agent.ended;
  return [reason !== agent.state && reason, code != null && `exit code ${code}`, signal && `signal ${signal}`].filter(Boolean).join(', ');
}

class Agents extends Watched {
  pause = 1500;

  async load() {
    const path = `machines/${encodeURIComponent(this.props.machine)}/agents`;
    const found = await askAll(`${path}?all=true`, 'agents');
    return found.sort((one, other) => other.running - one.running || other.id - one.id);
  }

  row = (agent) => html`<li class="row" key=${agent.id}>
    <div class="what">
      <a href=${logLink(this.props.machine, agent.id)}><${Text}>${agent.name || `agent ${agent.id}`}<//></a>
      <span class="dim mono">${agent.id}</span>
    </div>
    <span class="state ${STATES[agent.state] || 'off'}"><b><${Text}>${agent.state}<//></b>
      <span class="dim">${agent.running ? `for ${duration(agent.uptime_ms / 1000)}` : shown(ending(agent))}</span></span>
    <div class="more">
      ${agent.restarts > 0 && html`<span class="flag">restarted ${agent.restarts}×</span>`}
      <${Labels} labels=${agent.labels || {}} />
      ${agent.running && html`<button type="button" class="quiet" aria-label="Stop ${shown(agent.name)}" onClick=${() => this.setState({ending: agent})}>Stop</button>`}
    </div>
  </li>`;

  stop = async () => {
    await ask('POST', `agents/${this.state.ending.id}/stop`, {machine_id: this.props.machine});
    this.again();
  };

  view({machine}, {data, ending: agent}) {
    if (!data.length) {
      return html`<${Empty} title="No agent of yours here">
        <p>Start a script in a sandbox, and see its output:</p>
        <${Commands} text=${`clove agent run --machine ${machine} agent.py`} />
      <//>`;
    }
    return html`<ul class="rows">${data.map(this.row)}</ul>
      ${agent &&
      html`<${Sure} title="Stop this agent?" verb="Stop" act=${this.stop} close=${() => this.setState({ending: null})}>
        <p><${Text}>${agent.name}<//> ends, and is not restarted.</p>
      <//>`}`;
  }
}

const FLAGS = {
  copied_key: 'Another kernel has proved this machine’s key while the first one answers: its disk may have been copied.',
};

export class Machine extends Watched {
  load() {
    return ask('GET', `machines/${encodeURIComponent(this.props.machine)}`);
  }

  drain = async () => {
    const {machine_id: id, draining} = this.state.data;
    try {
      await ask('PATCH', `machines/${encodeURIComponent(id)}`, {draining: !draining});
      this.setState({refused: null});
    } catch (error) {
      this.setState({refused: problemOf(error)});
    }
    this.again();
  };

  view({leave}, {data: machine, refused}) {
    const there = machine.presence !== 'disconnected';
    return html`
      <header class="head">
        <p class="path"><a href="#/machines">Machines</a></p>
        <h1 tabindex="-1"><${Text}>${machine.name || machine.machine_id}<//></h1>
        <p class="sum"><${Presence} machine=${machine} />
          ${machine.draining && html`<span class="flag">draining: no new agents</span>`}
          ${session.kind === 'admin' && html`<button type="button" class="quiet" onClick=${this.drain}>${machine.draining ? 'Let agents in again' : 'Drain'}</button>`}</p>
      </header>
      <${Note} problem=${refused} />
      ${machine.flags.map((flag) => html`<div class="note" role="alert"><strong><${Text}>${flag.what.replaceAll('_', ' ')}<//>, <${Ago} time=${flag.at} /> ago</strong><span>${FLAGS[flag.what] || ''}</span></div>`)}
      <section>
        <h2>Agents</h2>
        ${session.kind === 'machine'
          ? html`<p class="dim">A machine's token does not see them. Log in with one of kind admin or agent.</p>`
          : there
            ? html`<${Agents} key=${machine.machine_id} machine=${machine.machine_id} leave=${leave} />`
            : html`<p class="dim">They are shown when it is connected. On the machine, <code>clove tunnel status</code> says why it is not.</p>`}
      </section>
      <section>
        <h2>About</h2>
        <dl class="facts">
          <${Fact} name="id"><span class="mono">${machine.machine_id}</span><//>
          ${machine.provider && html`<${Fact} name="provider"><${Text}>${machine.provider}<//><//>`}
          ${machine.ip_address && html`<${Fact} name="address"><span class="mono">${machine.ip_address}</span><//>`}
          <${Fact} name="proves itself by">${machine.has_key ? 'its own key' : 'a token'}<//>
          <${Fact} name="registered"><${Ago} time=${machine.created_at} /> ago<//>
          ${Object.entries(machine.versions).map(([name, value]) => html`<${Fact} name=${html`<${Text}>${name}<//>`}><${Text}>${value}<//><//>`)}
          ${Object.keys(machine.labels).length > 0 && html`<${Fact} name="labels"><${Labels} labels=${machine.labels} /><//>`}
          ${flat(machine.metadata).map(([name, value]) => html`<${Fact} name=${html`<${Text}>${name}<//>`}><${Value} value=${value} /><//>`)}
        </dl>
      </section>
      <${Isolation} report=${machine.isolation} />
    `;
  }
}
