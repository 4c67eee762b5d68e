// The REST API as this page asks it. The token is sent in a header, is in no URL, and is kept for
// this tab alone, until it is closed or logged out.

const KEY = 'clove-token';
const SECONDS = 20;

/** What the relay answered instead of what was asked for, or why it did not answer. */
export class Problem extends Error {
  constructor({detail, error, hint, code, status}) {
    super(String(detail || error || 'the relay gave no reason'));
    this.hint = String(hint || '');
    this.code = String(code || '');
    this.status = Number(status) || 0;
  }
}

/** An error as a Problem. */
export function problemOf(error) {
  if (error instanceof Problem) return error;
  const late = error.name === 'TimeoutError';
  return new Problem({
    detail: late ? `the relay has not answered for ${SECONDS} s` : 'the relay cannot be reached',
    hint: 'this page tries again by itself',
    code: 'unreachable',
  });
}

/** Why a text cannot be a token for this page; '' if it can. */
export function unfit(token) {
  const found = /^clove_([a-z]+)_[0-9A-Za-z]+_[0-9A-Za-z]+$/.exec(token);
  if (!found) return 'That is no token. One begins with clove_admin_ or clove_agent_, in one piece.';
  if (found[1] === 'join') return 'A join token is for a machine: clove tunnel join asks for it.';
  return '';
}

export const session = {
  get token() {
    return sessionStorage.getItem(KEY) || '';
  },
  set token(value) {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  },
  /** The kind that the token says it is; what it may do, the relay decides. */
  get kind() {
    return this.token.split('_')[1] || '';
  },
};

function headers(more) {
  return {Authorization: `Bearer ${session.token}`, Accept: 'application/json', ...more};
}

const COMMON = {cache: 'no-store', credentials: 'omit', redirect: 'error'};

async function refuse(reply) {
  let found = {};
  try {
    found = await reply.json();
  } catch {
    // Not from the relay itself, such as a proxy's page.
  }
  throw new Problem({detail: `status ${reply.status}`, ...found, status: reply.status});
}

/** One request; gives what was answered. */
export async function ask(method, path, body) {
  const given = body === undefined ? {} : {'Content-Type': 'application/json'};
  const reply = await fetch(`api/v1/${path}`, {
    ...COMMON,
    method,
    headers: headers(given),
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(SECONDS * 1000),
  });
  if (!reply.ok) await refuse(reply);
  return reply.json();
}

/** Everything on a list, page by page. */
export async function askAll(path, name) {
  const found = [];
  let after = '';
  do {
    const page = await ask('GET', `${path}&after=${after}`);
    found.push(...page[name]);
    after = page.next;
  } while (after);
  return found;
}

/** Server-sent events of a path, from after `last` on; EventSource cannot send the token. */
export async function* events(path, last, signal) {
  const more = {Accept: 'text/event-stream'};
  if (last) more['Last-Event-ID'] = last;
  const reply = await fetch(`api/v1/${path}`, {...COMMON, headers: headers(more), signal});
  if (!reply.ok) await refuse(reply);
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    const found = blocks.map(parsed).filter(Boolean);
    if (found.length) yield found;
  }
}

function parsed(block) {
  const fields = {};
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).trimStart();
  }
  if (!fields.event) return null;
  return {kind: fields.event, id: fields.id || '', data: JSON.parse(fields.data || 'null')};
}
