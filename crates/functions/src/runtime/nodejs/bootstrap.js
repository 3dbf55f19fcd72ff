// Runs a Node.js function: fetches invocations from the Lambda Runtime API and answers them.
//
// The handler is named by _HANDLER as FILE.FUNCTION and lies under LAMBDA_TASK_ROOT. It may return a promise or call
// back. Errors while it is loaded end the process after they were reported; errors of one invocation do not.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const util = require('node:util');
const { pathToFileURL } = require('node:url');

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let requestId = '';

// The server going away ends the process.
function call(method, route, body, headers = {}) {
  return new Promise((resolve) => {
    const request = http.request(
      { host, port, agent, method, path: `/2018-06-01/runtime${route}`, headers },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
        response.on('error', () => process.exit(0));
      },
    );
    request.on('error', () => process.exit(0));
    request.end(body);
  });
}

function post(route, text, headers = {}) {
  const body = Buffer.from(text, 'utf8');
  return call('POST', route, body, { 'Content-Type': 'application/json', 'Content-Length': body.length, ...headers });
}

function failure(error, fallback = 'Error') {
  if (error instanceof Error) {
    return {
      errorType: error.name || fallback,
      errorMessage: error.message,
      trace: (error.stack || '').split('\n'),
    };
  }
  return { errorType: typeof error, errorMessage: typeof error === 'string' ? error : util.inspect(error), trace: [] };
}

function reportFailure(route, error) {
  print('ERROR', `Invoke Error\t${JSON.stringify(error)}`);
  return post(route, JSON.stringify(error), { 'Lambda-Runtime-Function-Error-Type': error.errorType });
}

// Lines go out synchronously: a process that is killed next has still said them. A full pipe is waited for.
function write(text) {
  let bytes = Buffer.from(text, 'utf8');
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(fs.writeSync(1, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function print(level, text) {
  write(`${new Date().toISOString()}\t${requestId || 'undefined'}\t${level}\t${text}\n`);
}

const levels = { trace: 'TRACE', debug: 'DEBUG', log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR' };
for (const [method, level] of Object.entries(levels)) {
  console[method] = (...values) => print(level, util.format(...values));
}

class LoadError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

async function load(name) {
  const dot = name.lastIndexOf('.');
  const slash = name.lastIndexOf('/');
  if (dot <= slash + 1 || dot === name.length - 1) {
    throw new LoadError('Runtime.MalformedHandlerName', `Bad handler '${name}': it must be FILE.FUNCTION`);
  }
  const base = name.slice(0, dot);
  const member = name.slice(dot + 1);
  const file = ['.js', '.mjs', '.cjs']
    .map((extension) => path.resolve(process.env.LAMBDA_TASK_ROOT, base + extension))
    .find((candidate) => fs.existsSync(candidate));
  if (!file) throw new LoadError('Runtime.ImportModuleError', `Error: Cannot find module '${base}'`);
  let module;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    if (error && /^(ERR_)?MODULE_NOT_FOUND$/.test(error.code || '')) {
      throw new LoadError('Runtime.ImportModuleError', `Error: ${error.message}`);
    }
    if (error instanceof SyntaxError) throw new LoadError('Runtime.UserCodeSyntaxError', `SyntaxError: ${error.message}`);
    throw error;
  }
  const handler = module[member] ?? module.default?.[member];
  if (handler === undefined) throw new LoadError('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new LoadError('Runtime.HandlerNotFound', `${name} is not a function`);
  return handler;
}

// One call of the handler: whichever of promise, callback and context method settles first.
function invoke(handler, headers, event) {
  return new Promise((resolve, reject) => {
    const settle = (error, value) => (error === null || error === undefined ? resolve(value) : reject(error));
    const deadline = Number(headers['lambda-runtime-deadline-ms']);
    const clientContext = headers['lambda-runtime-client-context'];
    const identity = headers['lambda-runtime-cognito-identity'];
    const context = {
      callbackWaitsForEmptyEventLoop: true,
      functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
      functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
      memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
      invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
      awsRequestId: headers['lambda-runtime-aws-request-id'],
      clientContext: clientContext ? JSON.parse(clientContext) : undefined,
      identity: identity ? JSON.parse(identity) : undefined,
      getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
      done: settle,
      succeed: (value) => settle(null, value),
      fail: (error) => settle(error ?? 'handled', undefined),
    };
    const result = handler(event, context, settle);
    if (result && typeof result.then === 'function') result.then(resolve, reject);
    // A handler that takes no callback and returns at once has returned its answer.
    else if (handler.length < 3 && result !== undefined) resolve(result);
    // Whoever has nothing left to do and called nothing back has answered nothing.
    else process.once('beforeExit', () => resolve(null));
  });
}

async function fatal(kind, error) {
  const payload = failure(error);
  if (requestId) await reportFailure(`/invocation/${requestId}/error`, { ...payload, errorType: kind });
  process.exit(1);
}
process.on('uncaughtException', (error) => fatal('Runtime.UncaughtException', error));
process.on('unhandledRejection', (error) => fatal('Runtime.UnhandledPromiseRejection', error));

async function main() {
  let handler;
  try {
    handler = await load(process.env._HANDLER);
  } catch (error) {
    await reportFailure('/init/error', failure(error));
    process.exit(1);
  }
  for (;;) {
    const next = await call('GET', '/invocation/next');
    if (next.status !== 200) process.exit(1);
    requestId = next.headers['lambda-runtime-aws-request-id'];
    process.env._X_AMZN_TRACE_ID = next.headers['lambda-runtime-trace-id'] ?? '';
    let answer;
    try {
      answer = JSON.stringify(await invoke(handler, next.headers, JSON.parse(next.body.toString('utf8')))) ?? 'null';
    } catch (error) {
      await reportFailure(`/invocation/${requestId}/error`, failure(error));
      continue;
    }
    await post(`/invocation/${requestId}/response`, answer);
  }
}

main();
