#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::provider::Provider;
use crate::state::{OnFailure, ResourceStatus};
use crate::testing::{Break, MemoryStore, World};
use headwater_store::Topic;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Lab {
    store: MemoryStore,
    world: World,
    engine: Engine,
    worker: JoinHandle<()>,
}

impl Lab {
    fn new() -> Lab {
        Lab::on(MemoryStore::default(), World::default())
    }

    fn on(store: MemoryStore, world: World) -> Lab {
        let engine = Engine::new(Arc::new(store.clone()), Realm::default(), Options::default());
        engine.register(world.registry());
        let worker = tokio::spawn({
            let engine = engine.clone();
            async move { engine.run(CancellationToken::new()).await }
        });
        Lab { store, world, engine, worker }
    }

    /// The process ends, as by `kill -9`, and starts again.
    async fn restart(self) -> Lab {
        self.worker.abort();
        let _ = self.worker.await;
        self.store.mend();
        Lab::on(self.store, self.world)
    }

    async fn create(&self, template: &str) -> Stack {
        let id = self.engine.create(CreateStack::new("s", template)).await.unwrap();
        self.engine.settled(&id).await.unwrap()
    }

    async fn update(&self, template: &str) -> Stack {
        let id = self.engine.update(UpdateStack::new("s", template)).await.unwrap();
        self.engine.settled(&id).await.unwrap()
    }

    async fn delete(&self, name: &str) -> Stack {
        let id = self.engine.stack(name).await.unwrap().id;
        self.engine.delete(DeleteStack { stack: name.into(), ..DeleteStack::default() }).await.unwrap();
        self.engine.settled(&id).await.unwrap()
    }

    /// Events as `LOGICALID STATUS reason`, oldest first, with ids and names that differ from run to run left out.
    async fn story(&self, stack: &str) -> Vec<String> {
        let mut events = self.engine.events(stack).await.unwrap();
        events.reverse();
        let line = |event: StackEvent| {
            let reason = event.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
            format!("{} {}{reason}", event.logical_id, event.status)
        };
        events.into_iter().map(line).collect()
    }

    /// What stands in the world is just what the stack stands for.
    async fn assert_world_is_clean(&self, stack_id: &str) {
        let resources = self.engine.resources(stack_id).await.unwrap();
        for resource in &resources {
            assert_eq!(resource.intent, None, "{}", resource.logical_id);
            assert_eq!(resource.retired, [], "{}", resource.logical_id);
        }
        let mut live: Vec<String> =
            resources.into_iter().filter_map(|resource| resource.live.and_then(|live| live.physical_id)).collect();
        live.sort();
        assert_eq!(self.world.ids(), live);
        assert_eq!(self.store.jobs(), 0);
    }
}

const CHAIN: &str = r#"
Resources:
  A: {Type: Test::Thing, Properties: {Value: one}}
  B: {Type: Test::Thing, Properties: {Value: !GetAtt A.Arn}}
  C: {Type: Test::Thing, DependsOn: B}
  D: {Type: Test::Thing, Properties: {Value: !Ref A}}
Outputs:
  Id: {Value: !Ref B, Description: which}
"#;

#[tokio::test(start_paused = true)]
async fn a_stack_is_made_in_order_and_tells_its_story() {
    let lab = Lab::new();
    let stack = lab.create(CHAIN).await;
    assert_eq!(stack.status, StackStatus::CreateComplete);
    assert_eq!(stack.outputs[0].value.expose(), lab.world.of("B").unwrap().0);
    let (a, _) = lab.world.of("A").unwrap();
    assert_eq!(lab.world.values()["B"], json!(format!("arn:{a}")));
    assert_eq!(lab.world.values()["D"], json!(a));
    insta::assert_debug_snapshot!(lab.story("s").await, @r#"
    [
        "s CREATE_IN_PROGRESS User Initiated",
        "A CREATE_IN_PROGRESS",
        "A CREATE_IN_PROGRESS Resource creation Initiated",
        "A CREATE_COMPLETE",
        "B CREATE_IN_PROGRESS",
        "D CREATE_IN_PROGRESS",
        "B CREATE_IN_PROGRESS Resource creation Initiated",
        "B CREATE_COMPLETE",
        "C CREATE_IN_PROGRESS",
        "D CREATE_IN_PROGRESS Resource creation Initiated",
        "D CREATE_COMPLETE",
        "C CREATE_IN_PROGRESS Resource creation Initiated",
        "C CREATE_COMPLETE",
        "s CREATE_COMPLETE",
    ]
    "#);
    let events = lab.engine.events("s").await.unwrap();
    assert!(events.is_sorted_by(|newer, older| newer.at > older.at), "no two at the same time, the newest first");
    let first = events.iter().rev().find(|event| event.logical_id == "A").unwrap();
    assert_eq!(first.physical_id, None);
    assert_eq!(first.properties.as_deref(), Some(r#"{"Value":"one"}"#));
    lab.assert_world_is_clean(&stack.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_stack_is_deleted_in_reverse_and_stays_describable_by_its_id() {
    let lab = Lab::new();
    let made = lab.create(CHAIN).await;
    let gone = lab.delete("s").await;
    assert_eq!(gone.status, StackStatus::DeleteComplete);
    assert!(gone.deleted_at.is_some());
    assert_eq!(lab.world.ids(), Vec::<String>::new());
    let deletes: Vec<String> = lab.world.calls().into_iter().filter(|call| call.starts_with("delete")).collect();
    let place = |name: &str| deletes.iter().position(|call| call == &format!("delete {name}")).unwrap();
    assert!(place("C") < place("B") && place("B") < place("A") && place("D") < place("A"));
    assert!(matches!(lab.engine.stack("s").await, Err(Error::NoStack(_))));
    assert_eq!(lab.engine.stack(&made.id).await.unwrap().status, StackStatus::DeleteComplete);
    // The name is free, and deleting again is no mistake.
    lab.engine.delete(DeleteStack { stack: made.id.clone(), ..DeleteStack::default() }).await.unwrap();
    assert_ne!(lab.create(CHAIN).await.id, made.id);
}

#[tokio::test(start_paused = true)]
async fn a_failure_rolls_everything_back() {
    let lab = Lab::new();
    let template = "
Resources:
  A: {Type: Test::Thing}
  B: {Type: Test::Thing, DependsOn: A, Properties: {Does: create}}
  C: {Type: Test::Thing, DependsOn: B}
  W: {Type: Test::Thing, Properties: {Does: wait-after}}
";
    let stack = lab.create(template).await;
    assert_eq!(stack.status, StackStatus::RollbackComplete);
    insta::assert_debug_snapshot!(lab.story("s").await, @r#"
    [
        "s CREATE_IN_PROGRESS User Initiated",
        "A CREATE_IN_PROGRESS",
        "W CREATE_IN_PROGRESS",
        "A CREATE_IN_PROGRESS Resource creation Initiated",
        "A CREATE_COMPLETE",
        "B CREATE_IN_PROGRESS",
        "B CREATE_FAILED create went wrong",
        "W CREATE_FAILED Resource creation cancelled",
        "s ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [B]. Rollback requested by user.",
        "A DELETE_IN_PROGRESS",
        "W DELETE_IN_PROGRESS",
        "A DELETE_COMPLETE",
        "W DELETE_COMPLETE",
        "s ROLLBACK_COMPLETE",
    ]
    "#);
    lab.assert_world_is_clean(&stack.id).await;
    // Only a delete is left.
    let again = lab.engine.update(UpdateStack::new("s", CHAIN)).await;
    assert!(matches!(again, Err(Error::State { status: StackStatus::RollbackComplete, .. })));
    assert_eq!(lab.delete("s").await.status, StackStatus::DeleteComplete);
}

#[tokio::test(start_paused = true)]
async fn what_happens_on_failure_is_the_callers_choice() {
    let template = "
Resources:
  A: {Type: Test::Thing}
  B: {Type: Test::Thing, DependsOn: A, Properties: {Does: leave}}
";
    let lab = Lab::new();
    let create = |on_failure| CreateStack { on_failure, ..CreateStack::new("s", template) };
    let id = lab.engine.create(create(OnFailure::DoNothing)).await.unwrap();
    assert_eq!(lab.engine.settled(&id).await.unwrap().status, StackStatus::CreateFailed);
    assert_eq!(lab.world.ids().len(), 2);
    assert_eq!(lab.delete("s").await.status, StackStatus::DeleteComplete);
    assert_eq!(lab.world.ids().len(), 0);
    let id = lab.engine.create(create(OnFailure::Delete)).await.unwrap();
    assert_eq!(lab.engine.settled(&id).await.unwrap().status, StackStatus::DeleteComplete);
    assert_eq!(lab.world.ids().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_takes_too_long_is_rolled_back() {
    let lab = Lab::new();
    let template = "Resources: {A: {Type: Test::Thing}, W: {Type: Test::Thing, Properties: {Does: wait}}}";
    let input = CreateStack { timeout_min: Some(1), ..CreateStack::new("s", template) };
    let id = lab.engine.create(input).await.unwrap();
    let stack = lab.engine.settled(&id).await.unwrap();
    assert_eq!(stack.status, StackStatus::RollbackComplete);
    assert!(lab.story("s").await.iter().any(|line| line.contains("exceeded the specified timeout")));
    assert_eq!(lab.world.ids(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_delete_breaks_a_create_off() {
    let lab = Lab::new();
    let template = "Resources: {A: {Type: Test::Thing}, W: {Type: Test::Thing, Properties: {Does: wait-after}}}";
    let id = lab.engine.create(CreateStack::new("s", template)).await.unwrap();
    while lab.world.ids().len() < 2 {
        tokio::task::yield_now().await;
    }
    let gone = lab.delete("s").await;
    // The create's end and the delete's beginning are two commits: wait for the last.
    let gone = if gone.status == StackStatus::DeleteComplete { gone } else { lab.engine.settled(&id).await.unwrap() };
    assert_eq!(gone.status, StackStatus::DeleteComplete);
    lab.assert_world_is_clean(&id).await;
}

const BEFORE: &str = r#"
Resources:
  Keep: {Type: Test::Thing, Properties: {Value: same}}
  Change: {Type: Test::Thing, DependsOn: Keep, Properties: {Value: one}}
  Replace: {Type: Test::Thing, Properties: {Kind: old, Value: one}}
  Uses: {Type: Test::Thing, Properties: {Value: !Ref Replace}}
  Remove: {Type: Test::Thing, DependsOn: Change}
"#;

const AFTER: &str = r#"
Resources:
  Keep: {Type: Test::Thing, Properties: {Value: same}}
  Change: {Type: Test::Thing, DependsOn: Keep, Properties: {Value: two}}
  Replace: {Type: Test::Thing, Properties: {Kind: new, Value: two}}
  Uses: {Type: Test::Thing, Properties: {Value: !Ref Replace}}
  Add: {Type: Test::Thing, DependsOn: Uses}
"#;

#[tokio::test(start_paused = true)]
async fn an_update_changes_replaces_adds_and_removes() {
    let lab = Lab::new();
    lab.create(BEFORE).await;
    let (old, _) = lab.world.of("Replace").unwrap();
    let plan = lab
        .engine
        .plan(PlanStack { name: "s".into(), template: TemplateSource::Text(AFTER.into()), parameters: BTreeMap::new() })
        .await
        .unwrap();
    let told: Vec<String> = plan
        .changes
        .iter()
        .map(|change| {
            format!("{:?} {:?} {} {:?}", change.certainty, change.action, change.logical_id, change.properties)
        })
        .collect();
    insta::assert_debug_snapshot!(told, @r#"
    [
        "Certain Replace Replace [\"Kind\", \"Value\"]",
        "Certain Modify Change [\"Value\"]",
        "Conditional Modify Uses [\"Value\"]",
        "Certain Add Add []",
        "Certain Remove Remove []",
    ]
    "#);
    let stack = lab.update(AFTER).await;
    assert_eq!(stack.status, StackStatus::UpdateComplete);
    let (new, _) = lab.world.of("Replace").unwrap();
    assert_ne!(new, old);
    assert_eq!(lab.world.values()["Uses"], json!(new));
    assert_eq!(lab.world.values()["Change"], json!("two"));
    assert_eq!(lab.world.of("Remove"), None);
    lab.assert_world_is_clean(&stack.id).await;
    let story = lab.story("s").await;
    let place = |line: &str| story.iter().position(|other| other.starts_with(line)).unwrap_or_else(|| panic!("{line}"));
    assert!(place("s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS") < place("Remove DELETE_IN_PROGRESS"));
    assert!(place("Replace UPDATE_IN_PROGRESS Requested update requires") < place("Uses UPDATE_IN_PROGRESS"));
    assert_eq!(story.last().unwrap(), "s UPDATE_COMPLETE");
    let nothing = lab.engine.update(UpdateStack::new("s", AFTER)).await;
    assert_eq!(nothing.unwrap_err().to_string(), "No updates are to be performed.");
}

#[tokio::test(start_paused = true)]
async fn a_failed_update_puts_everything_back() {
    for does in ["create", "leave"] {
        let lab = Lab::new();
        lab.create(BEFORE).await;
        let before = (lab.world.ids(), lab.world.values());
        let failing = AFTER.replace(
            "Add: {Type: Test::Thing, DependsOn: Uses}",
            &format!("Add: {{Type: Test::Thing, DependsOn: [Uses, Change], Properties: {{Does: {does}}}}}"),
        );
        let stack = lab.update(&failing).await;
        assert_eq!(stack.status, StackStatus::UpdateRollbackComplete);
        assert_eq!((lab.world.ids(), lab.world.values()), before);
        lab.assert_world_is_clean(&stack.id).await;
        assert_eq!(lab.engine.template("s").await.unwrap(), BEFORE);
        // From there the right template goes through.
        assert_eq!(lab.update(AFTER).await.status, StackStatus::UpdateComplete);
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_failed_half_way_is_put_back_too() {
    let lab = Lab::new();
    lab.create("Resources: {A: {Type: Test::Thing, Properties: {Value: one}}}").await;
    let stack = lab.update("Resources: {A: {Type: Test::Thing, Properties: {Value: two, Does: half-update}}}").await;
    assert_eq!(stack.status, StackStatus::UpdateRollbackComplete);
    assert_eq!(lab.world.values()["A"], json!("one"));
}

#[tokio::test(start_paused = true)]
async fn a_provider_may_move_or_replace_a_resource_in_an_update() {
    let lab = Lab::new();
    lab.create("Resources: {A: {Type: Test::Thing, Properties: {Value: one}}}").await;
    let (first, _) = lab.world.of("A").unwrap();
    let stack = lab.update("Resources: {A: {Type: Test::Thing, Properties: {Does: move}}}").await;
    assert_eq!(stack.status, StackStatus::UpdateComplete);
    assert_eq!(lab.world.ids(), [format!("{first}-moved")]);
    let stack = lab.update("Resources: {A: {Type: Test::Thing, Properties: {Does: replace}}}").await;
    assert_eq!(stack.status, StackStatus::UpdateComplete);
    assert_eq!(lab.world.ids().len(), 1);
    assert_ne!(lab.world.ids(), [format!("{first}-moved")]);
    lab.assert_world_is_clean(&stack.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_of_its_own_forbids_replacement_before_anything_is_done() {
    let lab = Lab::new();
    lab.create("Resources: {A: {Type: Test::Thing, Properties: {Name: mine, Kind: x}}}").await;
    let error = lab
        .engine
        .update(UpdateStack::new("s", "Resources: {A: {Type: Test::Thing, Properties: {Name: mine, Kind: y}}}"))
        .await
        .unwrap_err();
    insta::assert_snapshot!(error.to_string(), @r#"line 1, column 13: resource "A": the resource has the name "mine" of its own and must be replaced: give it another name"#);
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_retained_is_left_alone() {
    let lab = Lab::new();
    let template = "
Resources:
  A: {Type: Test::Thing, DeletionPolicy: Retain}
  B: {Type: Test::Thing, DependsOn: A}
";
    lab.create(template).await;
    let stack = lab.delete("s").await;
    assert_eq!(stack.status, StackStatus::DeleteComplete);
    assert!(lab.world.of("A").is_some());
    assert!(lab.world.of("B").is_none());
    let resources = lab.engine.resources(&stack.id).await.unwrap();
    assert_eq!(resources[0].status, ResourceStatus::DeleteSkipped);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_fails_can_be_repeated_and_told_to_retain() {
    let lab = Lab::new();
    let template = "
Resources:
  A: {Type: Test::Thing}
  B: {Type: Test::Thing, DependsOn: A, Properties: {Does: delete}}
  C: {Type: Test::Thing}
";
    lab.create(template).await;
    let failed = lab.delete("s").await;
    assert_eq!(failed.status, StackStatus::DeleteFailed);
    assert_eq!(failed.status_reason.as_deref(), Some("The following resource(s) failed to delete: [B]."));
    // A is needed by B and stays; C does not care.
    assert_eq!(lab.world.ids().len(), 2);
    let input = DeleteStack { stack: "s".into(), retain: vec!["B".into()], client_token: None };
    lab.engine.delete(input).await.unwrap();
    assert_eq!(lab.engine.settled(&failed.id).await.unwrap().status, StackStatus::DeleteComplete);
    assert!(lab.world.of("B").is_some() && lab.world.of("A").is_none());
}

#[tokio::test(start_paused = true)]
async fn independent_resources_are_made_together_and_bounded() {
    let lab = Lab::new();
    let mut template = String::from("Resources:\n");
    for number in 0..30 {
        template.push_str(&format!("  R{number}: {{Type: Test::Thing}}\n"));
    }
    assert_eq!(lab.create(&template).await.status, StackStatus::CreateComplete);
    assert_eq!(lab.world.most_at_once(), Options::default().calls_parallel_max);
}

#[tokio::test(start_paused = true)]
async fn exports_are_imported_guarded_and_unique() {
    let lab = Lab::new();
    lab.create(
        "
Resources: {A: {Type: Test::Thing}}
Outputs: {Out: {Value: !Ref A, Export: {Name: shared}}}
",
    )
    .await;
    let user = "Resources: {B: {Type: Test::Thing, Properties: {Value: !ImportValue shared}}}";
    let id = lab.engine.create(CreateStack::new("user", user)).await.unwrap();
    assert_eq!(lab.engine.settled(&id).await.unwrap().status, StackStatus::CreateComplete);
    assert_eq!(lab.world.values()["B"], json!(lab.world.of("A").unwrap().0));
    assert_eq!(lab.engine.importers("shared").await.unwrap(), [id]);
    let failed = lab.delete("s").await;
    assert_eq!(failed.status, StackStatus::DeleteFailed);
    assert!(failed.status_reason.unwrap().starts_with("Export shared cannot be deleted as it is in use by"));
    let twin = "
Resources: {A: {Type: Test::Thing}}
Outputs: {Out: {Value: x, Export: {Name: shared}}}
";
    let id = lab.engine.create(CreateStack::new("twin", twin)).await.unwrap();
    assert_eq!(lab.engine.settled(&id).await.unwrap().status, StackStatus::RollbackComplete);
    assert_eq!(lab.delete("user").await.status, StackStatus::DeleteComplete);
    assert_eq!(lab.delete("s").await.status, StackStatus::DeleteComplete);
    assert!(lab.engine.exports().await.unwrap().is_empty());
    let missing = lab.engine.create(CreateStack::new("late", user)).await.unwrap_err();
    assert!(missing.to_string().contains("No export named shared found."), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn secrets_are_masked_in_events_and_never_printed() {
    let lab = Lab::new();
    let template = "
Parameters: {Password: {Type: String, NoEcho: true}}
Resources:
  A: {Type: Test::Thing, Properties: {Value: !Sub 'p=${Password}'}}
Outputs: {Secret: {Value: !GetAtt A.Secret}}
";
    let parameters = BTreeMap::from([("Password".to_owned(), Given::Value("hunter2".into()))]);
    let id = lab.engine.create(CreateStack { parameters, ..CreateStack::new("s", template) }).await.unwrap();
    let stack = lab.engine.settled(&id).await.unwrap();
    assert_eq!(lab.world.values()["A"], json!("p=hunter2"));
    let events = lab.engine.events("s").await.unwrap();
    let resources = lab.engine.resources("s").await.unwrap();
    let printed = format!("{stack:?} {events:?} {resources:?}");
    assert!(printed.contains("p=****"), "{printed}");
    assert!(!printed.contains("hunter2") && !printed.contains("secret-of"), "{printed}");
    assert_eq!(stack.revision.arguments["Password"].shown(), "****");
}

#[tokio::test(start_paused = true)]
async fn requests_are_refused_before_anything_is_made() {
    let lab = Lab::new();
    let refused = async |input: CreateStack| lab.engine.create(input).await.unwrap_err().to_string();
    assert!(refused(CreateStack::new("1s", CHAIN)).await.contains("begin with a letter"));
    let role = "Resources: {R: {Type: Test::Role, Properties: {RoleName: x}}}";
    let error = lab.engine.create(CreateStack::new("s", role)).await.unwrap_err();
    assert!(matches!(&error, Error::Capabilities { needed } if needed == &["CAPABILITY_NAMED_IAM"]));
    assert_eq!(error.to_string(), "Requires capabilities : [CAPABILITY_NAMED_IAM]");
    let nameless = "Resources: {R: {Type: Test::Role}}";
    let capabilities = vec!["CAPABILITY_NAMED_IAM".to_owned()];
    lab.engine.create(CreateStack { capabilities, ..CreateStack::new("roles", nameless) }).await.unwrap();
    lab.create(CHAIN).await;
    assert_eq!(refused(CreateStack::new("s", CHAIN)).await, "Stack [s] already exists");
    assert_eq!(lab.engine.stack("nobody").await.unwrap_err().to_string(), "Stack with id nobody does not exist");
    // The same request again is the same stack.
    let with_token = || CreateStack { client_token: Some("t".into()), ..CreateStack::new("t", CHAIN) };
    let first = lab.engine.create(with_token()).await.unwrap();
    assert_eq!(lab.engine.create(with_token()).await.unwrap(), first);
    lab.engine.protect("s", true).await.unwrap();
    let kept = lab.engine.delete(DeleteStack { stack: "s".into(), ..DeleteStack::default() }).await;
    assert!(matches!(kept, Err(Error::Protected(_))));
}

#[tokio::test(start_paused = true)]
async fn change_sets_make_and_change_stacks() {
    let lab = Lab::new();
    let input = |name: &str, change_set_type, template: &str| ChangeSetInput {
        stack: "s".into(),
        name: name.into(),
        change_set_type,
        template: TemplateSource::Text(template.into()),
        parameters: BTreeMap::new(),
        capabilities: Vec::new(),
        tags: None,
        notification_arns: Vec::new(),
        description: None,
        on_failure: OnFailure::Rollback,
    };
    let first = lab.engine.create_change_set(input("one", ChangeSetType::Create, BEFORE)).await.unwrap();
    assert_eq!(lab.engine.stack("s").await.unwrap().status, StackStatus::ReviewInProgress);
    assert_eq!(first.plan.changes.len(), 5);
    lab.engine.execute_change_set("one", Some("s"), None).await.unwrap();
    let stack = lab.engine.settled(&first.stack_id).await.unwrap();
    assert_eq!(stack.status, StackStatus::CreateComplete);
    let done = lab.engine.change_set(&first.id, None).await.unwrap();
    assert_eq!(done.execution_status, ExecutionStatus::ExecuteComplete);
    let empty = lab.engine.create_change_set(input("none", ChangeSetType::Update, BEFORE)).await.unwrap();
    assert_eq!((empty.status, empty.execution_status), (ChangeSetStatus::Failed, ExecutionStatus::Unavailable));
    assert!(empty.status_reason.unwrap().starts_with("The submitted information didn't contain changes."));
    lab.engine.create_change_set(input("two", ChangeSetType::Update, AFTER)).await.unwrap();
    lab.engine.execute_change_set("two", Some("s"), None).await.unwrap();
    assert_eq!(lab.engine.settled(&first.stack_id).await.unwrap().status, StackStatus::UpdateComplete);
    let again = lab.engine.execute_change_set("two", Some("s"), None).await;
    assert!(matches!(again, Err(Error::ChangeSetStatus { .. })));
    assert_eq!(lab.engine.change_sets("s").await.unwrap().len(), 1);
    lab.engine.delete_change_set("two", Some("s")).await.unwrap();
    assert!(matches!(lab.engine.change_set("two", Some("s")).await, Err(Error::NoChangeSet(_))));
}

#[tokio::test(start_paused = true)]
async fn stacks_that_were_deleted_long_ago_are_forgotten() {
    let lab = Lab::new();
    lab.create(CHAIN).await;
    let gone = lab.delete("s").await;
    lab.worker.abort();
    let options = Options { deleted_kept: Duration::ZERO, ..Options::default() };
    let engine = Engine::new(Arc::new(lab.store.clone()), Realm::default(), options);
    engine.register(lab.world.registry());
    let worker = tokio::spawn(async move { engine.run(CancellationToken::new()).await });
    while lab.store.count("stack") > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(lab.engine.stack(&gone.id).await, Err(Error::NoStack(_))));
    for kind in ["stack-event", "stack-resource", "stack-template", "stack-name"] {
        assert_eq!(lab.store.count(kind), 0, "{kind}");
    }
    worker.abort();
}

/// Runs an operation with the process killed at one commit after another, until it comes through whole.
async fn killed_at_every_commit(
    prepare: Option<&str>,
    operate: impl AsyncFn(&Lab) -> String,
    settled: impl Fn(&Stack, &World),
) {
    for when in [Break::Before, Break::After] {
        for commits in 0.. {
            let lab = Lab::new();
            if let Some(template) = prepare {
                assert_eq!(lab.create(template).await.status, StackStatus::CreateComplete);
            }
            let id = operate(&lab).await;
            lab.store.break_after(commits, when);
            let broken = lab.store.broken.clone();
            let whole = tokio::select! {
                () = broken.notified() => false,
                stack = lab.engine.settled(&id) => stack.is_ok(),
            };
            let lab = lab.restart().await;
            let mut changes = lab.store.watch(Topic::Kind("stack".into()));
            loop {
                let stack = lab.engine.settled(&id).await.unwrap();
                if lab.store.jobs() == 0 {
                    settled(&stack, &lab.world);
                    break;
                }
                tokio::select! {
                    _ = changes.changed() => {}
                    () = tokio::task::yield_now() => {}
                }
            }
            lab.assert_world_is_clean(&id).await;
            if whole {
                assert!(commits > 3, "{commits} commits are too few to be an operation");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_killed_at_any_commit_completes() {
    let create = async |lab: &Lab| lab.engine.create(CreateStack::new("s", BEFORE)).await.unwrap();
    killed_at_every_commit(None, create, |stack, world| {
        assert_eq!(stack.status, StackStatus::CreateComplete);
        assert_eq!(world.ids().len(), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_create_killed_at_any_commit_rolls_back() {
    let template = BEFORE.replace("DependsOn: Change}", "DependsOn: Change, Properties: {Does: leave}}");
    let create = async |lab: &Lab| lab.engine.create(CreateStack::new("s", &*template)).await.unwrap();
    killed_at_every_commit(None, create, |stack, world| {
        assert_eq!(stack.status, StackStatus::RollbackComplete);
        assert_eq!(world.ids(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_killed_at_any_commit_completes() {
    let update = async |lab: &Lab| lab.engine.update(UpdateStack::new("s", AFTER)).await.unwrap();
    killed_at_every_commit(Some(BEFORE), update, |stack, world| {
        assert_eq!(stack.status, StackStatus::UpdateComplete);
        assert_eq!(world.values()["Change"], json!("two"));
        assert_eq!(world.values()["Uses"], json!(world.of("Replace").unwrap().0));
        assert!(world.of("Remove").is_none() && world.of("Add").is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_update_killed_at_any_commit_is_put_back() {
    let failing = AFTER.replace("DependsOn: Uses}", "DependsOn: [Uses, Change], Properties: {Does: leave}}");
    let update = async |lab: &Lab| lab.engine.update(UpdateStack::new("s", &*failing)).await.unwrap();
    killed_at_every_commit(Some(BEFORE), update, |stack, world| {
        assert_eq!(stack.status, StackStatus::UpdateRollbackComplete);
        assert_eq!(world.values()["Change"], json!("one"));
        assert_eq!(world.values()["Uses"], json!(world.of("Replace").unwrap().0));
        assert!(world.of("Remove").is_some() && world.of("Add").is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_that_moves_a_resource_may_be_killed_at_any_commit() {
    let before = "Resources: {A: {Type: Test::Thing, Properties: {Value: one}}, B: {Type: Test::Thing, DependsOn: A}}";
    let after = "Resources: {A: {Type: Test::Thing, Properties: {Does: move}}, B: {Type: Test::Thing, DependsOn: A}}";
    let update = async |lab: &Lab| lab.engine.update(UpdateStack::new("s", after)).await.unwrap();
    killed_at_every_commit(Some(before), update, |stack, world| {
        assert_eq!(stack.status, StackStatus::UpdateComplete);
        assert!(world.of("A").is_none() && world.of("A-moved").is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_killed_at_any_commit_completes() {
    let delete = async |lab: &Lab| {
        let id = lab.engine.stack("s").await.unwrap().id;
        lab.engine.delete(DeleteStack { stack: "s".into(), ..DeleteStack::default() }).await.unwrap();
        id
    };
    killed_at_every_commit(Some(BEFORE), delete, |stack, world| {
        assert_eq!(stack.status, StackStatus::DeleteComplete);
        assert_eq!(world.ids(), Vec::<String>::new());
    })
    .await;
}

#[test]
fn made_names_fit_their_limits() {
    let naming = |length_max, case| crate::schema::Naming { property: None, length_max, case };
    let name = work::proposal("My-Stack", "Bucket", naming(63, crate::schema::Case::Lower));
    assert!(name.starts_with("my-stack-bucket-") && name.len() == 8 + 1 + 6 + 1 + 12, "{name}");
    for (stack, logical) in
        [("s".repeat(128), "L".repeat(255)), ("s".into(), "L".repeat(255)), ("s".repeat(128), "L".into())]
    {
        let name = work::proposal(&stack, &logical, naming(40, crate::schema::Case::Kept));
        assert_eq!(name.len(), 40, "{name}");
        assert!(name.starts_with('s') && name.contains("-L"), "{name}");
    }
}

#[test]
fn every_provider_of_the_tests_is_found() {
    let registry = World::default().registry();
    assert!(registry.find("Custom::Anything").is_some());
    assert!(registry.find("Custom::").is_none());
    assert_eq!(registry.find("Test::Thing").map(|provider| provider.schema().type_name), Some("Test::Thing"));
    fn assert_object_safe(_: Option<&dyn Provider>) {}
    assert_object_safe(None);
}
