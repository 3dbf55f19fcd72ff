// Answers a custom resource's request: one PUT of JSON to the URL that came with it, as it stands: any scheme, host
// and port. It ends the invocation through context.done().
'use strict';

exports.SUCCESS = 'SUCCESS';
exports.FAILED = 'FAILED';

exports.send = function send(event, context, responseStatus, responseData, physicalResourceId, noEcho) {
  return new Promise((resolve) => {
    const end = () => {
      context.done();
      resolve();
    };
    const body = Buffer.from(JSON.stringify({
      Status: responseStatus,
      Reason: `The details are in the log stream ${context.logStreamName}`,
      PhysicalResourceId: physicalResourceId || context.logStreamName,
      StackId: event.StackId,
      RequestId: event.RequestId,
      LogicalResourceId: event.LogicalResourceId,
      NoEcho: noEcho || false,
      Data: responseData,
    }), 'utf8');
    console.log('Response body:\n', body.toString('utf8'));
    const url = new URL(event.ResponseURL);
    const client = url.protocol === 'https:' ? require('node:https') : require('node:http');
    // The URL is signed without a content type, so the header must be empty.
    const headers = { 'content-type': '', 'content-length': body.length };
    const request = client.request(url, { method: 'PUT', headers }, (response) => {
      console.log(`Status code: ${response.statusCode}`);
      response.resume();
      response.on('end', end);
    });
    request.on('error', (error) => {
      console.log(`No answer could be sent: ${error.message}`);
      end();
    });
    request.end(body);
  });
};
