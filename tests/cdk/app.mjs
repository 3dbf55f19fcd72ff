// A live channel with a function that hears of its stream, as a team that uses the CDK would write it: the default
// synthesizer, assets, an environment that the command line tells.

import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import { EventField, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { CfnChannel, CfnStreamKey } from 'aws-cdk-lib/aws-ivs';
import { Code, Function as LambdaFunctionResource, Runtime } from 'aws-cdk-lib/aws-lambda';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';

const app = new App();
const stack = new Stack(app, 'LiveByCdk', {
  env: { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION },
});
const channel = new CfnChannel(stack, 'Channel', { name: app.node.tryGetContext('name') ?? 'by-cdk', type: 'BASIC' });
const key = new CfnStreamKey(stack, 'Key', { channelArn: channel.attrArn });
const hears = new LambdaFunctionResource(stack, 'Hears', {
  runtime: Runtime.NODEJS_22_X,
  handler: 'index.handler',
  code: Code.fromAsset('function'),
  environment: { CHANNEL: channel.attrArn },
});
hears.addToRolePolicy(new PolicyStatement({ actions: ['ivs:GetChannel'], resources: [channel.attrArn] }));
new Rule(stack, 'States', {
  eventPattern: { source: ['aws.ivs'], detailType: ['IVS Stream State Change'], resources: [channel.attrArn] },
  targets: [new LambdaFunction(hears, { event: RuleTargetInput.fromObject({ name: EventField.fromPath('$.detail.event_name') }) })],
});
const address = new StringParameter(stack, 'Address', { parameterName: '/by-cdk/playback', stringValue: channel.attrPlaybackUrl });
new CfnOutput(stack, 'ChannelArn', { value: channel.attrArn });
new CfnOutput(stack, 'StreamKey', { value: key.attrValue });
new CfnOutput(stack, 'FunctionName', { value: hears.functionName });
new CfnOutput(stack, 'ParameterName', { value: address.parameterName });
