#![allow(clippy::unwrap_used, reason = "tests")]

use super::registry;
use crate::stacks::custom;
use crate::testing::{Bench, bench};
use crate::{Control, iam, ivs, lambda};
use headwater_model::Timestamp;
use headwater_model::event::TargetInput;
use headwater_model::poll::Question;
use headwater_stacks::state::{Stack, StackStatus};
use headwater_stacks::{CreateStack, DeleteStack, Given, UpdateStack};
use headwater_store::Select;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const LIVE: &str = include_str!("../../../../examples/live.yaml");
const CHANNEL: &str = include_str!("../../../../examples/channel.yaml");
const BLOG_POST: &str = include_str!("../../../../examples/blog-post.yaml");

/// A bench with the engine at work.
struct Lab {
    bench: Bench,
    worker: JoinHandle<()>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

async fn lab() -> Lab {
    let bench = bench().await;
    let engine = bench.control.engine().clone();
    engine.register(registry(&bench.control));
    let worker = tokio::spawn(async move { engine.run(CancellationToken::new()).await });
    Lab { bench, worker }
}

impl Lab {
    fn control(&self) -> &Control {
        &self.bench.control
    }

    async fn create(&self, template: &str) -> Stack {
        let input =
            CreateStack { capabilities: vec!["CAPABILITY_NAMED_IAM".into()], ..CreateStack::new("s", template) };
        let id = self.control().engine().create(input).await.unwrap();
        self.settled(&id).await
    }

    async fn update(&self, template: &str) -> Stack {
        let input =
            UpdateStack { capabilities: vec!["CAPABILITY_NAMED_IAM".into()], ..UpdateStack::new("s", template) };
        let id = self.control().engine().update(input).await.unwrap();
        self.settled(&id).await
    }

    async fn delete(&self) -> Stack {
        let id = self.control().engine().stack("s").await.unwrap().id;
        self.control().engine().delete(DeleteStack { stack: "s".into(), ..DeleteStack::default() }).await.unwrap();
        self.settled(&id).await
    }

    async fn settled(&self, id: &str) -> Stack {
        let stack = self.control().engine().settled(id).await.unwrap();
        let failures: Vec<String> = self
            .control()
            .engine()
            .events(id)
            .await
            .unwrap()
            .into_iter()
            .filter(|event| event.status.ends_with("FAILED"))
            .map(|event| format!("{}: {}", event.logical_id, event.reason.unwrap_or_default()))
            .collect();
        if !failures.is_empty() {
            eprintln!("{failures:#?}");
        }
        stack
    }

    /// The channel that a stream key opens.
    async fn opened(&self, key: &str) -> headwater_model::ivs::Channel {
        ivs::resolve_key(self.control(), key, Timestamp::now()).await.unwrap().unwrap().channel
    }

    async fn count(&self, kind: &str) -> usize {
        self.control().store().records(kind, Select::default()).await.unwrap().len()
    }

    /// Nothing is left of any resource.
    async fn assert_empty(&self) {
        for kind in [
            "channel",
            "stream-key",
            "stream-key-by-value",
            "role",
            "function",
            "rule",
            "bucket",
            "live-site",
            "stack-claim",
            "managed-policy",
        ] {
            assert_eq!(self.count(kind).await, 0, "{kind}");
        }
    }
}

fn output<'a>(stack: &'a Stack, key: &str) -> &'a str {
    stack.outputs.iter().find(|output| output.key == key).unwrap().value.expose()
}

#[tokio::test]
async fn the_built_in_template_gives_all_addresses_and_leaves_nothing() {
    let lab = lab().await;
    let stack = lab.create(LIVE).await;
    assert_eq!(stack.status, StackStatus::CreateComplete);
    assert_eq!(output(&stack, "WebsiteUrl"), "http://s.s3-website.localhost:8080");
    assert_eq!(output(&stack, "IngestServer"), "rtmp://localhost:1935/app/");
    let channel = lab.opened(output(&stack, "StreamKey")).await;
    assert!(output(&stack, "PlaybackUrl").ends_with(&format!(".channel.{}.m3u8", channel.id)));
    assert!(channel.insecure_ingest);
    let config = crate::native::site_config(lab.control(), "s").await.unwrap().unwrap();
    assert_eq!(config["playbackUrl"], output(&stack, "PlaybackUrl"));
    assert_eq!(config["channelId"], channel.id.as_str());
    let rules: Vec<headwater_model::event::Rule> =
        headwater_store::list(lab.control().store(), Select::default()).await.unwrap();
    let [rule] = rules.as_slice() else { panic!("{rules:?}") };
    assert_eq!(rule.targets[0].delay_ms, 5000);
    let TargetInput::Constant(payload) = &rule.targets[0].input else { panic!("{rule:?}") };
    assert_eq!(Question::parse(payload).unwrap().answers.len(), 3);
    // One key, not also the one that channels come with through the API.
    assert_eq!(lab.count("stream-key").await, 1);
    assert_eq!(lab.delete().await.status, StackStatus::DeleteComplete);
    lab.assert_empty().await;
}

#[tokio::test]
async fn a_live_channel_is_stopped_when_its_stack_goes() {
    let lab = lab().await;
    let stack = lab.create(CHANNEL).await;
    let channel = lab.opened(output(&stack, "StreamKey")).await;
    assert_eq!(channel.name, "s");
    lab.bench.broadcasts.go_live(&channel);
    assert_eq!(lab.delete().await.status, StackStatus::DeleteComplete);
    lab.assert_empty().await;
}

#[tokio::test]
async fn changing_a_live_channel_fails_and_the_rollback_bears_it() {
    let lab = lab().await;
    let stack = lab.create(CHANNEL).await;
    let channel = lab.opened(output(&stack, "StreamKey")).await;
    lab.bench.broadcasts.go_live(&channel);
    let changed = CHANNEL.replace("Name: !Ref AWS::StackName", "Name: other");
    assert_eq!(lab.update(&changed).await.status, StackStatus::UpdateRollbackComplete);
    lab.bench.broadcasts.live.lock().unwrap().clear();
    assert_eq!(lab.update(&changed).await.status, StackStatus::UpdateComplete);
    assert_eq!(ivs::channel(lab.control(), &channel.arn).await.unwrap().name, "other");
}

#[tokio::test]
async fn roles_rules_and_buckets_follow_their_template() {
    let lab = lab().await;
    let template = |policies: &str, index: &str, state: &str| {
        format!(
            r#"
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {{Version: 2012-10-17, Statement: [{{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: sts:AssumeRole}}]}}
      ManagedPolicyArns: [!Ref Managed]
      Policies: {policies}
  Managed:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument: {{Version: 2012-10-17, Statement: [{{Effect: Allow, Action: "ivs:*", Resource: "*"}}]}}
  Apart:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: apart
      Roles: [!Ref Role]
      PolicyDocument: {{Version: 2012-10-17, Statement: [{{Effect: Allow, Action: "s3:*", Resource: "*"}}]}}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      State: {state}
      EventPattern: {{source: [aws.ivs]}}
      Targets: [{{Id: a, Arn: !Sub "arn:aws:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:f"}}]
  Logs: {{Type: AWS::Logs::LogGroup, Properties: {{RetentionInDays: 7}}}}
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {{WebsiteConfiguration: {{IndexDocument: {index}}}}}
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Version: 2012-10-17
        Statement: [{{Effect: Allow, Principal: "*", Action: "s3:GetObject", Resource: !Sub "${{Bucket.Arn}}/*"}}]
Outputs: {{Role: {{Value: !Ref Role}}, Bucket: {{Value: !Ref Bucket}}, Rule: {{Value: !Ref Rule}}}}
"#
        )
    };
    let one = "[{PolicyName: one, PolicyDocument: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: 'logs:*', Resource: '*'}]}}]";
    let stack = lab.create(&template(one, "index.html", "ENABLED")).await;
    assert_eq!(stack.status, StackStatus::CreateComplete);
    let role = iam::roles::role(lab.control(), output(&stack, "Role")).await.unwrap();
    assert_eq!(role.inline_policies.keys().collect::<Vec<_>>(), ["apart", "one"]);
    assert_eq!(role.managed_policy_arns.len(), 1);
    let bucket = lab.control().sites().bucket(output(&stack, "Bucket")).await.unwrap();
    assert_eq!(bucket.name, bucket.name.to_lowercase());
    assert!(bucket.policy.is_some());
    let two = one.replace("PolicyName: one", "PolicyName: two");
    let stack = lab.update(&template(&two, "start.html", "DISABLED")).await;
    assert_eq!(stack.status, StackStatus::UpdateComplete);
    let role = iam::roles::role(lab.control(), output(&stack, "Role")).await.unwrap();
    assert!(role.inline_policies.contains_key("two") && !role.inline_policies.contains_key("one"));
    assert!(role.inline_policies.contains_key("apart"), "another resource's policy is not this one's to remove");
    let bucket = lab.control().sites().bucket(&bucket.name).await.unwrap();
    assert_eq!(bucket.website.unwrap().index_document.as_deref(), Some("start.html"));
    // Somebody deleted the bucket meanwhile: that is no mistake.
    lab.control().sites().delete_bucket(&bucket.name).await.unwrap();
    assert_eq!(lab.delete().await.status, StackStatus::DeleteComplete);
    lab.assert_empty().await;
}

#[tokio::test]
async fn a_name_that_somebody_else_has_is_refused_and_left_alone() {
    let lab = lab().await;
    let create = headwater_sites::buckets::CreateBucket { name: "taken".into(), ..Default::default() };
    lab.control().sites().create_bucket(create).await.unwrap();
    let stack = lab
        .create(
            "Resources: {B: {Type: AWS::S3::Bucket, Properties: {BucketName: taken}}, C: {Type: AWS::IVS::Channel}}",
        )
        .await;
    assert_eq!(stack.status, StackStatus::RollbackComplete);
    assert!(lab.control().sites().bucket_exists("taken").await.unwrap());
    assert_eq!(lab.count("channel").await, 0);
}

/// A function that exists only as a record: its invocations stay in the queue, and the test answers for it.
async fn put_function(control: &Control, name: &str) {
    let function = serde_json::from_value(json!({
        "name": name, "arn": control.realm().function_arn(name), "runtime": "python3.8", "handler": "index.handler",
        "role_arn": "arn:aws:iam::000000000000:role/r", "timeout_s": 3, "memory_mb": 128, "code_sha256": "0",
        "code_bytes": 0, "log_stream": "l", "revision_id": "r", "last_modified": 0,
        "retry_attempts_max": null, "event_age_s_max": null,
    }));
    let function: headwater_model::function::Function = function.unwrap();
    let mut batch = headwater_store::Batch::new();
    batch.insert(&function).unwrap();
    control.store().commit(batch).await.unwrap();
}

/// The next request to a function.
async fn next_request(control: &Control) -> Value {
    let topic = headwater_store::Topic::Queue(headwater_functions::QUEUE.into());
    let mut queue = control.store().watch(topic);
    loop {
        queue.borrow_and_update();
        let jobs = control.store().due_jobs(headwater_functions::QUEUE, Timestamp::now(), 1).await.unwrap();
        if let Some(job) = jobs.into_iter().next() {
            let mut batch = headwater_store::Batch::new();
            batch.complete(job.id);
            control.store().commit(batch).await.unwrap();
            return serde_json::from_str(job.body["payload"].as_str().unwrap()).unwrap();
        }
        queue.changed().await.unwrap();
    }
}

async fn answer(control: &Control, request: &Value, answer: Value) -> Result<(), crate::Error> {
    let url = request["ResponseURL"].as_str().unwrap();
    let (_, address) = url.split_once("/_headwater/cloudformation/response/").unwrap();
    custom::answer(control, address, answer.to_string().as_bytes()).await
}

const CUSTOM: &str = r#"
Resources:
  C:
    Type: Custom::Thing
    Properties:
      ServiceToken: !Sub "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:f"
      Number: 4
      Deep: {On: true, List: [1, a]}
Outputs: {Got: {Value: !GetAtt C.Name}, Id: {Value: !Ref C}}
"#;

#[tokio::test]
async fn a_custom_resource_lives_by_its_functions_answers() {
    let lab = lab().await;
    let control = lab.control();
    put_function(control, "f").await;
    let id = control.engine().create(CreateStack::new("s", CUSTOM)).await.unwrap();
    let request = next_request(control).await;
    let members: Vec<&String> = request.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "RequestType",
            "ServiceToken",
            "ResponseURL",
            "StackId",
            "RequestId",
            "LogicalResourceId",
            "ResourceType",
            "ResourceProperties"
        ]
    );
    assert_eq!(request["RequestType"], "Create");
    assert_eq!(request["ResourceType"], "Custom::Thing");
    assert_eq!(request["ResourceProperties"]["Number"], "4");
    assert_eq!(request["ResourceProperties"]["Deep"], json!({"On": "true", "List": ["1", "a"]}));
    let success = |physical_id: &str| json!({"Status": "SUCCESS", "PhysicalResourceId": physical_id, "RequestId": request["RequestId"], "Data": {"Name": "n"}});
    let mut forged = request.clone();
    forged["ResponseURL"] = format!("{}x", request["ResponseURL"].as_str().unwrap()).into();
    assert!(matches!(answer(control, &forged, success("p")).await, Err(crate::Error::NotFound { .. })));
    answer(control, &request, success("first")).await.unwrap();
    // Later answers change nothing, whatever they say.
    answer(control, &request, json!({"Status": "FAILED", "Reason": "late"})).await.unwrap();
    let stack = lab.settled(&id).await;
    assert_eq!(stack.status, StackStatus::CreateComplete);
    assert_eq!((output(&stack, "Got"), output(&stack, "Id")), ("n", "first"));

    // Another id in an update is a replacement: the former one is deleted in the clean-up.
    control.engine().update(UpdateStack::new("s", CUSTOM.replace("Number: 4", "Number: 5"))).await.unwrap();
    let update = next_request(control).await;
    assert_eq!((&update["RequestType"], &update["PhysicalResourceId"]), (&json!("Update"), &json!("first")));
    assert_eq!(update["OldResourceProperties"]["Number"], "4");
    let moved = json!({"Status": "SUCCESS", "PhysicalResourceId": "second", "Data": {"Name": "m"}});
    answer(control, &update, moved).await.unwrap();
    let delete = next_request(control).await;
    assert_eq!((&delete["RequestType"], &delete["PhysicalResourceId"]), (&json!("Delete"), &json!("first")));
    answer(control, &delete, json!({"Status": "SUCCESS", "PhysicalResourceId": "first"})).await.unwrap();
    let stack = lab.settled(&id).await;
    assert_eq!((stack.status, output(&stack, "Got")), (StackStatus::UpdateComplete, "m"));

    control.engine().delete(DeleteStack { stack: "s".into(), ..DeleteStack::default() }).await.unwrap();
    let delete = next_request(control).await;
    assert_eq!(delete["PhysicalResourceId"], "second");
    answer(control, &delete, json!({"Status": "SUCCESS"})).await.unwrap();
    assert_eq!(lab.settled(&id).await.status, StackStatus::DeleteComplete);
}

#[tokio::test]
async fn a_failed_custom_resource_is_told_and_deleted() {
    let lab = lab().await;
    let control = lab.control();
    put_function(control, "f").await;
    let id = control.engine().create(CreateStack::new("s", CUSTOM)).await.unwrap();
    let request = next_request(control).await;
    let failure = json!({"Status": "FAILED", "Reason": "no luck", "PhysicalResourceId": "half"});
    answer(control, &request, failure).await.unwrap();
    let delete = next_request(control).await;
    assert_eq!((&delete["RequestType"], &delete["PhysicalResourceId"]), (&json!("Delete"), &json!("half")));
    answer(control, &delete, json!({"Status": "SUCCESS"})).await.unwrap();
    assert_eq!(lab.settled(&id).await.status, StackStatus::RollbackComplete);
    let events = control.engine().events(&id).await.unwrap();
    assert!(events.iter().any(|event| event.reason.as_deref().is_some_and(|reason| reason.ends_with("no luck"))));
}

#[tokio::test]
async fn no_answer_in_time_is_a_failure_and_a_missing_function_no_hindrance() {
    let lab = lab().await;
    let control = lab.control();
    put_function(control, "f").await;
    let hasty = CUSTOM.replace("Number: 4", "ServiceTimeout: 1");
    let id = control.engine().create(CreateStack::new("s", hasty)).await.unwrap();
    next_request(control).await;
    lambda::delete_function(control, "f").await.unwrap();
    assert_eq!(lab.settled(&id).await.status, StackStatus::RollbackComplete);
    let events = control.engine().events(&id).await.unwrap();
    let told = |event: &headwater_stacks::state::StackEvent| {
        event.reason.as_deref().is_some_and(|reason| reason.contains("did not receive a response"))
    };
    assert!(events.iter().any(told));
}

#[tokio::test]
async fn the_eleven_resources_are_checked_and_need_their_capability() {
    let lab = lab().await;
    let parameters = BTreeMap::from([("SiteSource".to_owned(), Given::Value("http://127.0.0.1:1/x".into()))]);
    let input = CreateStack { parameters, ..CreateStack::new("s", BLOG_POST) };
    let error = lab.control().engine().create(input.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "Requires capabilities : [CAPABILITY_NAMED_IAM]");
    let plan = lab
        .control()
        .engine()
        .plan(headwater_stacks::engine::PlanStack {
            name: "s".into(),
            template: headwater_stacks::TemplateSource::Text(BLOG_POST.into()),
            parameters: input.parameters,
        })
        .await
        .unwrap();
    let order: Vec<&str> = plan.changes.iter().map(|change| change.logical_id.as_str()).collect();
    assert_eq!(order.len(), 11);
    let place = |name: &str| order.iter().position(|other| *other == name).unwrap();
    assert!(place("UploaderLambda") < place("LambdaCustomUploader"));
    assert!(place("S3IVSWebsite") < place("UploaderLambdaRoleS3"));
}
