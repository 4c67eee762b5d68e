// The output of one agent, as it comes.
import {Component, html} from './html.js';
import {Problem, ask, events, problemOf} from './api.js';
import {machineLink} from './machines.js';
import {Note, Text} from './parts.js';
import {line, shown} from './text.js';

/** Lines that are kept here; the kernel has what it keeps. */
const MOST = 2000;
/** Lines are shown together that come within so many milliseconds. */
const SHOW_PAUSE = 30;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15000;
/** What trying again does not change. */
const FINAL = new Set([400, 401, 403, 404]);

const clock = new Intl.DateTimeFormat(undefined, {timeStyle: 'medium', hourCycle: 'h23'});

function time(stamp) {
  const at = new Date(stamp);
  return Number.isNaN(at.getTime()) ? '' : clock.format(at);
}

function how({exit_code: code, signal, reason}) {
  const parts = [code != null && `exit code ${code}`, signal != null && `signal ${signal}`, reason !== 'exited' && reason];
  return parts.filter(Boolean).join(', ');
}

class Line extends Component {
  shouldComponentUpdate() {
    return false; // a line does not change
  }

  render({entry}) {
    if (entry.lost) return html`<li class="lost">${entry.lost} lines are no longer held</li>`;
    const label = entry.stream === 'stderr' ? 'stderr: ' : '';
    return html`<li class=${entry.stream === 'stderr' ? 'err' : ''}>
      <span class="when">${time(entry.timestamp)}</span><span class="said">${label && html`<span class="sr">${label}</span>`}${line(entry.text)}</span>
    </li>`;
  }
}

export class Log extends Component {
  state = {lines: [], link: 'connecting', dropped: 0};
  cut = new AbortController();
  waiting = [];
  last = '';
  losses = 0;
  atEnd = true;

  componentDidMount() {
    this.name();
    this.follow();
  }

  componentWillUnmount() {
    this.cut.abort();
    clearTimeout(this.timer);
    clearTimeout(this.showing);
  }

  componentDidUpdate() {
    if (this.atEnd && this.box) this.box.scrollTop = this.box.scrollHeight;
  }

  async name() {
    const {machine, agent} = this.props;
    try {
      const path = `machines/${encodeURIComponent(machine)}/agents?all=true&after=${agent - 1}&limit=1`;
      const [found] = (await ask('GET', path)).agents;
      if (found && found.id === agent) this.setState({name: found.name});
    } catch {
      // The stream says what is the matter.
    }
  }

  async follow() {
    const {machine, agent} = this.props;
    const path = `agents/${agent}/logs?machine_id=${encodeURIComponent(machine)}&follow=true`;
    let pause = FIRST_PAUSE;
    while (!this.cut.signal.aborted) {
      let problem = null;
      try {
        for await (const some of events(path, this.last, this.cut.signal)) {
          pause = FIRST_PAUSE;
          this.setState({link: 'live', problem: null});
          problem = this.handle(some);
          if (this.over) return;
        }
      } catch (error) {
        problem = problemOf(error);
      }
      if (this.cut.signal.aborted) return;
      if (problem && problem.status === 401) {
        this.props.leave(problem);
        return;
      }
      if (problem && FINAL.has(problem.status)) {
        this.setState({link: 'ended', problem});
        return;
      }
      this.setState({link: 'connecting again', problem});
      await this.rest(pause * (0.5 + Math.random() / 2));
      pause = Math.min(LONGEST_PAUSE, pause * 2);
    }
  }

  rest(milliseconds) {
    return new Promise((resolve) => {
      this.timer = setTimeout(resolve, milliseconds);
    });
  }

  /** Take events; gives the problem with which the stream has ended, if it has. */
  handle(some) {
    let problem = null;
    for (const {kind, id, data} of some) {
      if (id) this.last = id;
      if (kind === 'line') this.waiting.push(data);
      else if (kind === 'lost') this.waiting.push({lost: data.lines, offset: `lost ${(this.losses += 1)}`});
      else if (kind === 'exit') {
        this.over = true;
        this.setState({link: 'ended', end: how(data)});
      } else if (kind === 'error') problem = new Problem(data);
    }
    this.showing ||= setTimeout(this.show, SHOW_PAUSE);
    return problem;
  }

  show = () => {
    this.showing = 0;
    const some = this.waiting.splice(0);
    this.setState(({lines, dropped}) => {
      const all = [...lines, ...some];
      const kept = all.slice(-MOST);
      return {lines: kept, dropped: dropped + all.length - kept.length};
    });
  };

  hold = (box) => {
    this.box = box;
  };

  scrolled = () => {
    if (!this.box) return; // its view has been left
    const {scrollTop, scrollHeight, clientHeight} = this.box;
    const atEnd = scrollHeight - scrollTop - clientHeight < 40;
    if (atEnd === this.atEnd) return;
    this.atEnd = atEnd;
    this.forceUpdate();
  };

  toEnd = () => {
    this.atEnd = true;
    this.forceUpdate();
    this.box.focus();
  };

  render({machine, agent}, {lines, link, problem, end, name, dropped}) {
    const style = {live: 'good', ended: 'off'}[link] || 'doubtful';
    return html`
      <header class="head">
        <p class="path"><a href="#/machines">Machines</a> / <a href=${machineLink(machine)}><${Text}>${machine}<//></a></p>
        <h1 tabindex="-1"><${Text}>${name || `agent ${agent}`}<//></h1>
        <p class="sum" role="status"><span class="state ${style}"><b>${link}</b>${end && html` <span class="dim">${shown(end)}</span>`}</span></p>
      </header>
      <${Note} problem=${problem} />
      <div class="log">
        <ol ref=${this.hold} role="log" aria-label="Output" tabindex="0" onScroll=${this.scrolled}>
          ${dropped > 0 && html`<li key="dropped" class="lost">${dropped} earlier lines are not kept here; on the machine, <code>clove logs</code> has those that its kernel keeps</li>`}
          ${lines.map((entry) => html`<${Line} key=${entry.offset} entry=${entry} />`)}
        </ol>
        ${lines.length === 0 && html`<p class="dim none">${link === 'ended' ? 'It printed nothing.' : 'Nothing printed yet.'}</p>`}
        ${!this.atEnd && html`<button type="button" class="end" onClick=${this.toEnd}>To the end ↓</button>`}
      </div>
    `;
  }
}
