// What was refused, and to whom.
import {html} from './html.js';
import {ask, problemOf} from './api.js';
import {machineLink} from './machines.js';
import {Ago, Empty, Text, Watched} from './parts.js';
import {count} from './text.js';

const PAGE = 100;

const KINDS = {
  '': 'of every kind',
  token: 'tokens that are not valid',
  route: 'tokens of a kind that may not do it',
  site: 'pages of other sites',
  connection: 'tunnels and remote agents',
  kernel: 'by the kernel of a machine',
};

export class Denials extends Watched {
  pause = 5000;
  kind = '';

  async load() {
    return ask('GET', `audit?limit=${PAGE}&kind=${this.kind}`);
  }

  choose = (event) => {
    this.kind = event.target.value;
    this.setState({earlier: null});
    this.again();
  };

  more = async () => {
    const {data, earlier} = this.state;
    const before = earlier ? earlier.next : data.next;
    try {
      const {entries, next} = await ask('GET', `audit?limit=${PAGE}&kind=${this.kind}&before=${before}`);
      this.setState({earlier: {entries: [...(earlier ? earlier.entries : []), ...entries], next}});
    } catch (error) {
      this.setState({problem: problemOf(error)});
    }
  };

  row = (each) => html`<li class="row denial" key=${each.id}>
    <div class="what">
      <span class="kind">${each.kind}</span>
      <b><${Text}>${each.error}<//></b>
      <${Text} class="dim mono">${each.what}<//>
    </div>
    <div class="what">
      <span>from <${Text} class="mono">${each.source || 'nowhere'}<//></span>
      ${each.token_id && html`<span class="dim">token <span class="mono">${each.token_id}</span></span>`}
      ${each.machine_id && html`<a href=${machineLink(each.machine_id)}><${Text}>${each.machine_id}<//></a>`}
    </div>
    <div class="more">
      ${each.count > 1 && html`<span class="flag">${count(each.count, 'time')}</span>`}
      <span class="dim"><${Ago} time=${each.last} /> ago</span>
    </div>
  </li>`;

  view(props, {data, earlier}) {
    const newest = new Set(data.entries.map((each) => each.id));
    const old = earlier ? earlier.entries.filter((each) => !newest.has(each.id)) : [];
    const entries = [...data.entries, ...old];
    const next = earlier ? earlier.next : data.next;
    return html`
      <header class="head">
        <h1 tabindex="-1">Denials</h1>
        <p class="sum"><span>What relays of this fleet have refused, and what its machines’ kernels have refused to their REST API.</span></p>
      </header>
      <p class="filter"><label><span class="sr">Show denials</span>
        <select onChange=${this.choose}>${Object.entries(KINDS).map(([kind, name]) => html`<option value=${kind}>${name}</option>`)}</select></label></p>
      ${entries.length === 0 && html`<${Empty} title="Nothing was refused"><p>${this.kind ? 'Not of this kind.' : 'Wrong tokens, and what tokens may not do, are shown here.'}</p><//>`}
      ${entries.length > 0 && html`<ul class="rows">${entries.map(this.row)}</ul>`}
      ${next > 0 && html`<p><button type="button" class="quiet" onClick=${this.more}>Earlier ones</button></p>`}
    `;
  }
}
