// All operations of `ivs` that this SDK has (3.1136 has not those about failover slates): each with input that is right,
// and with input that is not.

import * as sdk from '@aws-sdk/client-ivs';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { check, refused, same, until } from './check.mjs';

const MEDIATAILOR = 'arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/ads';
const unknown = (kind) => `arn:aws:ivs:us-east-1:000000000000:${kind}/doesNotExist`;
const NOT_FOUND = [sdk.ResourceNotFoundException, 404];
const INVALID = [sdk.ValidationException, 400];

const pem = (curve) =>
  generateKeyPairSync('ec', { namedCurve: curve }).publicKey.export({ type: 'spki', format: 'pem' });

/** Sends commands by their operation's name and remembers which were answered and which refused. */
class Caller {
  constructor(client) {
    this.client = client;
    this.answered = new Set();
    this.refused = new Set();
  }

  async call(operation, input = {}) {
    const answer = await this.client.send(new sdk[`${operation}Command`](input));
    this.answered.add(operation);
    return answer;
  }

  async refuse(operation, input, [exception, status]) {
    this.refused.add(operation);
    return refused(operation, () => this.client.send(new sdk[`${operation}Command`](input)), exception, status);
  }
}

export async function run() {
  const ivs = new Caller(new sdk.IvsClient({ maxAttempts: 1 }));
  const operations = Object.keys(sdk)
    .filter((name) => name.endsWith('Command') && name !== '$Command')
    .map((name) => name.slice(0, -'Command'.length));

  const made = await configurations(ivs);
  const { arn, key } = await channels(ivs, made);
  await live(ivs, arn, key);
  await pages(ivs);
  await removals(ivs, made, arn);

  check('the SDK has operations', operations.length >= 41, operations);
  same('operations not answered', operations.filter((name) => !ivs.answered.has(name)), []);
  same('operations not refused', operations.filter((name) => !ivs.refused.has(name)), []);
}

async function configurations(ivs) {
  const pair = (await ivs.call('ImportPlaybackKeyPair', { publicKeyMaterial: pem('secp384r1'), name: 'js', tags: { a: 'b' } })).keyPair;
  check('a fingerprint', /^([0-9a-f]{2}:){15}[0-9a-f]{2}$/.test(pair.fingerprint), pair);
  await ivs.refuse('ImportPlaybackKeyPair', { publicKeyMaterial: pem('prime256v1') }, INVALID);
  same('a key pair read again', (await ivs.call('GetPlaybackKeyPair', { arn: pair.arn })).keyPair, pair);
  await ivs.refuse('GetPlaybackKeyPair', { arn: unknown('playback-key') }, NOT_FOUND);

  const policy = (await ivs.call('CreatePlaybackRestrictionPolicy', { name: 'js', allowedCountries: ['DE'], allowedOrigins: [] }))
    .playbackRestrictionPolicy;
  await ivs.refuse('CreatePlaybackRestrictionPolicy', { allowedCountries: ['DEU'] }, INVALID);
  const changed = await ivs.call('UpdatePlaybackRestrictionPolicy', { arn: policy.arn, enableStrictOriginEnforcement: true });
  same('a policy read again', (await ivs.call('GetPlaybackRestrictionPolicy', { arn: policy.arn })).playbackRestrictionPolicy,
    changed.playbackRestrictionPolicy);
  await ivs.refuse('UpdatePlaybackRestrictionPolicy', { arn: policy.arn, name: 'a b' }, INVALID);
  await ivs.refuse('GetPlaybackRestrictionPolicy', { arn: unknown('playback-restriction-policy') }, NOT_FOUND);

  const { S3Client, CreateBucketCommand } = await import('@aws-sdk/client-s3');
  await new S3Client({ forcePathStyle: true }).send(new CreateBucketCommand({ Bucket: 'js-recordings' }));
  const recording = (await ivs.call('CreateRecordingConfiguration', {
    name: 'js', destinationConfiguration: { s3: { bucketName: 'js-recordings' } },
    thumbnailConfiguration: { recordingMode: 'INTERVAL', targetIntervalSeconds: 5, storage: ['LATEST'] },
  })).recordingConfiguration;
  await ivs.refuse('CreateRecordingConfiguration', { destinationConfiguration: { s3: { bucketName: 'x' } } }, INVALID);
  const state = async () => (await ivs.call('GetRecordingConfiguration', { arn: recording.arn })).recordingConfiguration.state;
  await until('the bucket is looked at', async () => (await state()) === 'ACTIVE');
  await ivs.refuse('GetRecordingConfiguration', { arn: 'no-arn' }, INVALID);

  const ads = (await ivs.call('CreateAdConfiguration', {
    mediaTailorPlaybackConfigurations: [{ playbackConfigurationArn: MEDIATAILOR }],
  })).adConfiguration;
  await ivs.refuse('CreateAdConfiguration', { mediaTailorPlaybackConfigurations: [] }, INVALID);
  const rolled = await ivs.call('UpdateAdConfiguration', { arn: ads.arn, postRollConfiguration: { enabled: true, durationSeconds: 30 } });
  same('an ad configuration read again', (await ivs.call('GetAdConfiguration', { arn: ads.arn })).adConfiguration, rolled.adConfiguration);
  await ivs.refuse('UpdateAdConfiguration', { arn: unknown('ad-configuration'), name: 'x' }, NOT_FOUND);
  await ivs.refuse('GetAdConfiguration', { arn: unknown('ad-configuration') }, NOT_FOUND);

  for (const [operation, member, arn] of [
    ['ListPlaybackKeyPairs', 'keyPairs', pair.arn],
    ['ListPlaybackRestrictionPolicies', 'playbackRestrictionPolicies', policy.arn],
    ['ListRecordingConfigurations', 'recordingConfigurations', recording.arn],
    ['ListAdConfigurations', 'adConfigurations', ads.arn],
  ]) {
    same(operation, (await ivs.call(operation))[member].map((one) => one.arn), [arn]);
    await ivs.refuse(operation, { maxResults: 101 }, INVALID);
  }
  return { pair, policy, recording, ads };
}

async function channels(ivs, { policy, recording, ads }) {
  const created = await ivs.call('CreateChannel', {
    name: 'js', type: 'BASIC', tags: { a: 'b' }, recordingConfigurationArn: recording.arn, adConfigurationArn: ads.arn,
    playbackRestrictionPolicyArn: policy.arn,
  });
  const { arn } = created.channel;
  const key = created.streamKey;
  await ivs.refuse('CreateChannel', { name: 'a b' }, INVALID);
  await ivs.refuse('CreateChannel', { type: 'SOMETHING' }, INVALID);
  same('a channel read again', (await ivs.call('GetChannel', { arn })).channel, created.channel);
  await ivs.refuse('GetChannel', { arn: unknown('channel') }, NOT_FOUND);
  const batch = await ivs.call('BatchGetChannel', { arns: [arn, unknown('channel')] });
  same('a batch', [batch.channels.length, batch.errors.map((error) => error.arn)], [1, [unknown('channel')]]);
  await ivs.refuse('BatchGetChannel', { arns: [] }, INVALID);
  same('channels by name', (await ivs.call('ListChannels', { filterByName: 'js' })).channels.map((one) => one.arn), [arn]);
  await ivs.refuse('ListChannels', { filterByName: 'a', filterByAdConfigurationArn: '' }, [sdk.ConflictException, 409]);
  same('a new name', (await ivs.call('UpdateChannel', { arn, name: 'js-2' })).channel.name, 'js-2');
  await ivs.refuse('UpdateChannel', { arn: unknown('channel'), name: 'x' }, NOT_FOUND);

  await ivs.refuse('CreateStreamKey', { channelArn: arn }, [sdk.ServiceQuotaExceededException, 402]);
  same('a key read again', (await ivs.call('GetStreamKey', { arn: key.arn })).streamKey.value, key.value);
  await ivs.refuse('GetStreamKey', { arn: unknown('stream-key') }, NOT_FOUND);
  const keys = await ivs.call('BatchGetStreamKey', { arns: [key.arn] });
  same('a batch of keys', keys.streamKeys.map((one) => one.value), [key.value]);
  await ivs.refuse('BatchGetStreamKey', { arns: Array(51).fill(key.arn) }, INVALID);
  same('listed keys', (await ivs.call('ListStreamKeys', { channelArn: arn })).streamKeys.map((one) => Object.keys(one).includes('value')), [false]);
  await ivs.refuse('ListStreamKeys', { channelArn: unknown('channel') }, NOT_FOUND);
  await ivs.call('DeleteStreamKey', { arn: key.arn });
  await ivs.refuse('DeleteStreamKey', { arn: key.arn }, NOT_FOUND);
  const second = (await ivs.call('CreateStreamKey', { channelArn: arn })).streamKey;

  await ivs.call('TagResource', { resourceArn: arn, tags: { 'x y': 'z', gone: '' } });
  await ivs.refuse('TagResource', { resourceArn: unknown('channel'), tags: { x: 'y' } }, NOT_FOUND);
  await ivs.call('UntagResource', { resourceArn: arn, tagKeys: ['gone', 'a'] });
  await ivs.refuse('UntagResource', { resourceArn: unknown('channel'), tagKeys: ['x'] }, NOT_FOUND);
  same('tags', (await ivs.call('ListTagsForResource', { resourceArn: arn })).tags, { 'x y': 'z' });
  await ivs.refuse('ListTagsForResource', { resourceArn: unknown('channel') }, NOT_FOUND);
  return { arn, key: second.value };
}

async function live(ivs, arn, key) {
  const offline = [sdk.ChannelNotBroadcasting, 404];
  await ivs.refuse('GetStream', { channelArn: arn }, offline);
  await ivs.refuse('StopStream', { channelArn: arn }, offline);
  await ivs.refuse('PutMetadata', { channelArn: arn, metadata: 'x' }, offline);
  await ivs.refuse('InsertAdBreak', { channelArn: arn, durationSeconds: 30 }, offline);
  await ivs.refuse('GetStreamSession', { channelArn: arn }, NOT_FOUND);

  const encoder = spawn('ffmpeg', [
    '-hide_banner', '-loglevel', 'error', '-nostdin', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25',
    '-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-c:v', 'libx264', '-preset', 'ultrafast',
    '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '50', '-c:a', 'aac', '-f', 'flv',
    `rtmp://127.0.0.1:${process.env.HEADWATER_RTMP_PORT}/app/${key}`,
  ], { stdio: 'ignore' });
  try {
    const stream = await until('the channel is live', async () => {
      try {
        return (await ivs.call('GetStream', { channelArn: arn })).stream;
      } catch (error) {
        if (error instanceof sdk.ChannelNotBroadcasting) return null;
        throw error;
      }
    });
    check('a start is a time', stream.startTime instanceof Date && Math.abs(Date.now() - stream.startTime) < 60_000, stream);
    const { streams } = await ivs.call('ListStreams', { filterBy: { health: stream.health } });
    same('streams', streams.map((one) => one.streamId), [stream.streamId]);
    await ivs.refuse('ListStreams', { maxResults: 0 }, INVALID);
    await ivs.call('PutMetadata', { channelArn: arn, metadata: 'hello' });
    await ivs.refuse('PutMetadata', { channelArn: arn, metadata: '' }, INVALID);
    const ad = await ivs.call('InsertAdBreak', { channelArn: arn, durationSeconds: 30 });
    check('an ad break', /^[A-Za-z0-9]{12}$/.test(ad.adBreakId), ad);
    await ivs.refuse('InsertAdBreak', { channelArn: arn, durationSeconds: 30 }, [sdk.ConflictException, 409]);
    await ivs.call('StartViewerSessionRevocation', { channelArn: arn, viewerId: 'v' });
    await ivs.refuse('StartViewerSessionRevocation', { channelArn: arn, viewerId: '' }, INVALID);
    const batch = await ivs.call('BatchStartViewerSessionRevocation', {
      viewerSessions: [{ channelArn: arn, viewerId: 'v' }, { channelArn: unknown('channel'), viewerId: 'w' }],
    });
    same('revocations that failed', batch.errors.map((error) => error.viewerId), ['w']);
    await ivs.refuse('BatchStartViewerSessionRevocation', { viewerSessions: [] }, INVALID);
    await ivs.refuse('DeleteChannel', { arn }, [sdk.ConflictException, 409]);
    const session = (await ivs.call('GetStreamSession', { channelArn: arn, streamId: stream.streamId })).streamSession;
    check('a session that lasts', session.endTime === undefined && session.truncatedEvents[0].eventTime instanceof Date, session);
    const listed = (await ivs.call('ListStreamSessions', { channelArn: arn })).streamSessions;
    same('sessions', listed.map((one) => one.streamId), [stream.streamId]);
    await ivs.refuse('ListStreamSessions', { channelArn: unknown('channel') }, NOT_FOUND);
    await ivs.call('StopStream', { channelArn: arn });
    await until('the session ends', async () => (await ivs.call('GetStreamSession', { channelArn: arn })).streamSession.endTime);
  } finally {
    encoder.kill('SIGKILL');
  }
}

async function pages(ivs) {
  const made = [];
  for (let index = 0; index < 5; index += 1) made.push((await ivs.call('CreateChannel', { name: 'js-page' })).channel.arn);
  const found = [];
  let count = 0;
  for await (const page of sdk.paginateListChannels({ client: ivs.client, pageSize: 2 }, { filterByName: 'js-page' })) {
    found.push(...page.channels.map((channel) => channel.arn));
    count += 1;
  }
  same('pages of channels', [count, found], [3, [...made].sort()]);
  await ivs.refuse('ListChannels', { nextToken: 'AAAA' }, INVALID);
  for (const arn of made) await ivs.call('DeleteChannel', { arn });
}

async function removals(ivs, { pair, policy, recording, ads }, arn) {
  const used = [
    ['DeleteRecordingConfiguration', recording], ['DeleteAdConfiguration', ads],
    ['DeletePlaybackRestrictionPolicy', policy],
  ];
  for (const [operation, { arn: one }] of used) await ivs.refuse(operation, { arn: one }, [sdk.ConflictException, 409]);
  await ivs.call('DeleteChannel', { arn });
  await ivs.refuse('DeleteChannel', { arn }, NOT_FOUND);
  for (const [operation, { arn: one }] of used) await ivs.call(operation, { arn: one });
  await ivs.call('DeletePlaybackKeyPair', { arn: pair.arn });
  await ivs.refuse('DeletePlaybackKeyPair', { arn: pair.arn }, NOT_FOUND);
}
