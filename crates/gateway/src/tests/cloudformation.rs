//! CloudFormation over the wire: stacks and change sets through the query protocol.

use super::*;
use headwater_control::stacks::registry;
use tokio_util::sync::CancellationToken;

const TEMPLATE: &str = "
Description: one channel
Parameters:
  Name: {Type: String, Default: first}
  Code: {Type: String, NoEcho: true, Default: hidden}
Resources:
  Channel: {Type: AWS::IVS::Channel, Properties: {Name: !Ref Name}}
Outputs:
  Arn: {Value: !Ref Channel, Description: 'a <b>', Export: {Name: shared}}
";

/// A server whose engine works.
async fn working() -> Server {
    let server = server().await;
    let engine = server.control().engine().clone();
    engine.register(registry(server.control()));
    tokio::spawn(async move { engine.run(CancellationToken::new()).await });
    server
}

impl Server {
    async fn stacks(&self, action: &str, form: &[(&str, &str)]) -> Answer {
        let mut all = vec![("Action", action), ("Version", "2010-05-15")];
        all.extend_from_slice(form);
        self.query(&self.root, "cloudformation", &all).await
    }

    async fn settled(&self, name: &str) -> &'static str {
        let id = self.control().engine().stack(name).await.unwrap().id;
        self.control().engine().settled(&id).await.unwrap().status.as_str()
    }
}

#[tokio::test]
async fn a_stack_is_made_described_and_deleted() {
    let server = working().await;
    let made = server.stacks("CreateStack", &[("StackName", "s"), ("TemplateBody", TEMPLATE)]).await;
    let id = made.element("StackId").to_owned();
    assert!(id.starts_with("arn:aws:cloudformation:us-east-1:000000000000:stack/s/"), "{id}");
    assert_eq!(server.settled("s").await, "CREATE_COMPLETE");

    let described = server.stacks("DescribeStacks", &[("StackName", "s")]).await;
    assert_eq!(described.element("StackStatus"), "CREATE_COMPLETE");
    assert_eq!(described.element("ExportName"), "shared");
    let outputs = described.element("Outputs");
    assert!(outputs.starts_with("<member><OutputKey>Arn</OutputKey><OutputValue>arn:aws:ivs:us-east-1:"), "{outputs}");
    assert!(outputs.contains("<Description>a &lt;b&gt;</Description>"), "{outputs}");
    let parameters = described.element("Parameters");
    assert!(parameters.contains("<ParameterValue>****</ParameterValue>") && !described.text.contains("hidden"));

    let events = server.stacks("DescribeStackEvents", &[("StackName", "s")]).await;
    let statuses: Vec<&str> =
        events.text.split("<ResourceStatus>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(
        statuses,
        ["CREATE_COMPLETE", "CREATE_COMPLETE", "CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS"]
    );
    let resource = [("StackName", "s"), ("LogicalResourceId", "Channel")];
    let detail = server.stacks("DescribeStackResource", &resource).await;
    assert_eq!(detail.element("ResourceType"), "AWS::IVS::Channel");
    for list in ["DescribeStackResources", "ListStackResources"] {
        assert_eq!(server.stacks(list, &[("StackName", "s")]).await.element("LogicalResourceId"), "Channel", "{list}");
    }
    let text = server.stacks("GetTemplate", &[("StackName", "s")]).await;
    assert!(text.element("TemplateBody").contains("!Ref Name"));
    assert_eq!(server.stacks("ListExports", &[]).await.element("ExportingStackId"), id);

    let same = [("StackName", "s"), ("UsePreviousTemplate", "true")];
    let nothing = server.stacks("UpdateStack", &same).await;
    assert_eq!(
        (nothing.element("Code"), nothing.element("Message")),
        ("ValidationError", "No updates are to be performed.")
    );
    let again = server.stacks("CreateStack", &[("StackName", "s"), ("TemplateBody", TEMPLATE)]).await;
    assert_eq!((again.status.as_u16(), again.element("Code")), (400, "AlreadyExistsException"));

    let deleted = server.stacks("DeleteStack", &[("StackName", "s")]).await;
    assert!(deleted.status.is_success() && !deleted.text.contains("DeleteStackResult"), "{}", deleted.text);
    assert_eq!(server.control().engine().settled(&id).await.unwrap().status.as_str(), "DELETE_COMPLETE");
    let gone = server.stacks("DescribeStacks", &[("StackName", "s")]).await;
    assert_eq!(gone.element("Code"), "ValidationError");
    assert_eq!(gone.element("Message"), "Stack with id s does not exist");
    let gone = server.stacks("DescribeStackEvents", &[("StackName", "s")]).await;
    assert_eq!((gone.element("Code"), gone.element("Message")), ("ValidationError", "Stack [s] does not exist"));
    assert_eq!(server.stacks("DescribeStacks", &[("StackName", &id)]).await.element("StackStatus"), "DELETE_COMPLETE");
    // What is not there is deleted.
    assert!(server.stacks("DeleteStack", &[("StackName", "s")]).await.status.is_success());
    assert!(!server.stacks("DescribeStacks", &[]).await.text.contains("<StackId>"));
    assert_eq!(server.stacks("ListStacks", &[]).await.element("StackStatus"), "DELETE_COMPLETE");
}

#[tokio::test]
async fn mistakes_and_missing_capabilities_are_told_before_anything_is_made() {
    let server = working().await;
    let wrong = TEMPLATE.replace("Name: !Ref Name", "Nmae: x, Type: HUGE");
    let refused = server.stacks("CreateStack", &[("StackName", "s"), ("TemplateBody", &wrong)]).await;
    let message = refused.element("Message");
    assert!(
        message.contains("unknown property &quot;Nmae&quot;") || message.contains("unknown property \"Nmae\""),
        "{message}"
    );
    assert!(message.contains("expected one of STANDARD, BASIC"), "{message}");
    let role = "Resources: {R: {Type: AWS::IAM::Role, Properties: {RoleName: r, AssumeRolePolicyDocument: {}}}}";
    let needs = server.stacks("CreateStack", &[("StackName", "s"), ("TemplateBody", role)]).await;
    assert_eq!(needs.element("Code"), "InsufficientCapabilitiesException");
    assert_eq!(needs.element("Message"), "Requires capabilities : [CAPABILITY_NAMED_IAM]");
    let validated = server.stacks("ValidateTemplate", &[("TemplateBody", role)]).await;
    assert_eq!(validated.element("Capabilities"), "<member>CAPABILITY_NAMED_IAM</member>");
    let summary = server.stacks("GetTemplateSummary", &[("TemplateBody", TEMPLATE)]).await;
    assert_eq!(summary.element("ResourceTypes"), "<member>AWS::IVS::Channel</member>");
    assert!(!summary.text.contains("hidden"));
    assert_eq!(server.stacks("DetectStackDrift", &[("StackName", "s")]).await.element("Code"), "InvalidAction");
    assert!(!server.stacks("ListStacks", &[]).await.text.contains("<StackId>"));
}

#[tokio::test]
async fn a_change_set_makes_and_changes_a_stack() {
    let server = working().await;
    let set = |name: &'static str, kind: &'static str, template: &str| {
        let template = template.to_owned();
        let server = &server;
        async move {
            let form = [
                ("StackName", "s"),
                ("ChangeSetName", name),
                ("ChangeSetType", kind),
                ("TemplateBody", template.as_str()),
            ];
            server.stacks("CreateChangeSet", &form).await
        }
    };
    let made = set("one", "CREATE", TEMPLATE).await;
    assert!(made.element("Id").contains(":changeSet/one/"));
    assert_eq!(server.settled("s").await, "REVIEW_IN_PROGRESS");
    let one = [("StackName", "s"), ("ChangeSetName", "one")];
    let described = server.stacks("DescribeChangeSet", &one).await;
    assert_eq!((described.element("Status"), described.element("ExecutionStatus")), ("CREATE_COMPLETE", "AVAILABLE"));
    assert_eq!(described.element("Action"), "Add");
    // SDKs look for the result although it has no members.
    assert_eq!(server.stacks("ExecuteChangeSet", &one).await.element("ExecuteChangeSetResult"), "");
    assert_eq!(server.settled("s").await, "CREATE_COMPLETE");
    assert_eq!(server.stacks("ExecuteChangeSet", &one).await.element("Code"), "InvalidChangeSetStatus");

    set("none", "UPDATE", TEMPLATE).await;
    let none = server.stacks("DescribeChangeSet", &[("StackName", "s"), ("ChangeSetName", "none")]).await;
    assert_eq!(none.element("Status"), "FAILED");
    assert!(none.element("StatusReason").contains("didn"), "{}", none.text);

    set("two", "UPDATE", &TEMPLATE.replace("Default: first", "Default: second")).await;
    let two = [("StackName", "s"), ("ChangeSetName", "two")];
    let described = server.stacks("DescribeChangeSet", &two).await;
    assert_eq!((described.element("Action"), described.element("Replacement")), ("Modify", "False"));
    server.stacks("ExecuteChangeSet", &two).await;
    assert_eq!(server.settled("s").await, "UPDATE_COMPLETE");
    assert_eq!(server.stacks("DeleteChangeSet", &two).await.element("DeleteChangeSetResult"), "");
    let missing = server.stacks("DescribeChangeSet", &[("StackName", "s"), ("ChangeSetName", "none")]).await;
    assert_eq!((missing.status.as_u16(), missing.element("Code")), (404, "ChangeSetNotFound"));
}

#[tokio::test]
async fn only_the_right_address_takes_an_answer() {
    let server = working().await;
    let put = |method: &str, path: &str, bytes: usize| {
        Request::builder().method(method).uri(path).body(Body::from(vec![b' '; bytes])).unwrap()
    };
    let path = format!("{}nobody.waits", crate::native::RESPONSE_PATH);
    assert_eq!(server.send(put("PUT", &path, 10)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.send(put("GET", &path, 0)).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(server.send(put("PUT", &path, 70_000)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}
