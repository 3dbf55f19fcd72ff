#![allow(clippy::unwrap_used, reason = "tests")]

use super::limits::{DEPTH_MAX, TEMPLATE_BYTES_MAX};
use super::*;
use crate::engine::{CreateStack, Engine, Given, Options, UpdateStack};
use crate::testing::{MemoryStore, World};
use headwater_model::Realm;
use proptest::prelude::*;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// All mistakes of a template, those that need schemas too.
async fn mistakes(template: &str, parameters: &[(&str, &str)]) -> String {
    let engine = Engine::new(Arc::new(MemoryStore::default()), Realm::default(), Options::default());
    engine.register(World::default().registry());
    let parameters = parameters.iter().map(|(name, value)| ((*name).into(), Given::Value((*value).into()))).collect();
    match engine.create(CreateStack { parameters, ..CreateStack::new("s", template) }).await {
        Ok(_) => "none".into(),
        Err(error) => error.to_string(),
    }
}

/// What a property comes to when its template is applied.
async fn value(template: &str, parameters: &[(&str, &str)]) -> serde_json::Value {
    let world = World::default();
    let engine = Engine::new(Arc::new(MemoryStore::default()), Realm::default(), Options::default());
    engine.register(world.registry());
    let parameters = parameters.iter().map(|(name, value)| ((*name).into(), Given::Value((*value).into()))).collect();
    let id = engine.create(CreateStack { parameters, ..CreateStack::new("s", template) }).await.unwrap();
    let cancel = CancellationToken::new();
    let worker = tokio::spawn({
        let (engine, cancel) = (engine.clone(), cancel.clone());
        async move { engine.run(cancel).await }
    });
    let stack = engine.settled(&id).await.unwrap();
    cancel.cancel();
    worker.await.unwrap();
    assert_eq!(stack.status.as_str(), "CREATE_COMPLETE", "{:?}", engine.events(&id).await);
    world.of("T").unwrap().1.properties
}

#[tokio::test(start_paused = true)]
async fn every_mistake_is_told_with_its_line() {
    let template = "
AWSTemplateFormatVersion: 2010-09-08
Parametres: {}
Resources:
  Channel:
    Type: Test::Thing
    Properties:
      Colour: red
      Mode: MEDIUM
      Count: eleven
      Items: one
      Tags: [{Key: a}, {Key: b, Valeu: c}]
  Unknown:
    Type: Test::Thin
  bad-name:
    Type: Test::Thing
  Strict:
    Type: Test::Strict
    DependsOn: Chanel
    Properties:
      Value: !GetAtt Channel.Arm
  Refers:
    Type: Test::Thing
    Properties:
      Value: !Ref Chanel
      Kind: !Sub '${Channel.Arn}-${Nobody}'
      Document: {Ref: Channel, Other: 1}
    Condition: IsProd
Outputs:
  Bad: {Value: [1, 2]}
  None: {Description: x}
";
    insta::assert_snapshot!(mistakes(template, &[]).await);
}

#[tokio::test(start_paused = true)]
async fn cycles_are_told_as_a_path() {
    let template = "
Resources:
  A: {Type: Test::Thing, Properties: {Value: !Ref B}}
  B: {Type: Test::Thing, Properties: {Value: !GetAtt C.Arn}}
  C: {Type: Test::Thing, DependsOn: A}
";
    insta::assert_snapshot!(mistakes(template, &[]).await, @"line 3, column 3: circular dependency: A -> B -> C -> A");
    let conditions = "
Conditions:
  A: !Not [!Condition B]
  B: !And [!Condition A, !Equals [a, a]]
Resources: {T: {Type: Test::Thing}}
";
    insta::assert_snapshot!(mistakes(conditions, &[]).await, @"line 3, column 3: circular dependency: A -> B -> A");
}

#[tokio::test(start_paused = true)]
async fn syntax_is_told_in_the_language_it_was_written_in() {
    insta::assert_snapshot!(mistakes("Resources:\n  A: {Type: [", &[]).await);
    insta::assert_snapshot!(mistakes("{\n  \"Resources\": {,}\n}", &[]).await, @"line 2, column 17: not valid JSON: key must be a string");
    insta::assert_snapshot!(mistakes("Resources: {A: {Type: Test::Thing}}\nResources: {}", &[]).await, @r#"
    line 2, column 1: "Resources" appears twice
    line 2, column 12: expected at least one resource, found an object
    "#);
    insta::assert_snapshot!(mistakes("", &[]).await, @"line 1, column 1: expected an object with Resources, found nothing");
    insta::assert_snapshot!(mistakes("just text", &[]).await, @r#"line 1, column 1: expected an object with Resources, found "just text""#);
    insta::assert_snapshot!(mistakes("Transform: AWS::Serverless-2016-10-31\nResources: {T: {Type: Test::Thing}}", &[]).await, @"line 1, column 1: the section Transform is not supported");
    insta::assert_snapshot!(
        mistakes("Resources: {T: {Type: Test::Thing, Properties: {Value: !Get T.Arn}}}", &[]).await
    );
}

#[tokio::test(start_paused = true)]
async fn functions_are_told_what_they_lack() {
    let template = "
Resources:
  T:
    Type: Test::Thing
    Properties:
      Value: !Join [',']
      Name: !GetAtt Nothing
      Kind: {'Fn::Sbu': x}
      Does: !Sub 'a ${b'
  U:
    Type: Test::Thing
    Properties:
      Value: !Select [5, [a, b]]
      Name: !FindInMap [Sizes, a, b]
      Kind: !Base64 [a]
      Document: {'Fn::Cidr': [a, b, c]}
Mappings: {Sizes: {a: {c: 1}}}
";
    insta::assert_snapshot!(mistakes(template, &[]).await);
}

#[tokio::test(start_paused = true)]
async fn parameters_are_held_to_their_constraints() {
    let template = "
Parameters:
  Name: {Type: String, AllowedPattern: '[a-z]+', ConstraintDescription: lowercase letters only}
  Size: {Type: Number, MinValue: 1, MaxValue: 10, Default: 3}
  Mode: {Type: String, AllowedValues: [FAST, SLOW], Default: FAST}
  Code: {Type: String, NoEcho: true, MinLength: 8, Default: longenough}
  List: {Type: CommaDelimitedList, Default: 'a, b'}
Resources: {T: {Type: Test::Thing, Properties: {Mode: !Ref Mode, Count: !Ref Size, Items: !Ref List}}}
";
    insta::assert_snapshot!(mistakes(template, &[]).await, @r#"line 3, column 3: parameter "Name": parameter "Name" is missing (expected a value of type String)"#);
    let wrong = [("Name", "ABC"), ("Size", "11"), ("Mode", "MEDIUM"), ("Code", "short"), ("Nme", "x")];
    insta::assert_snapshot!(mistakes(template, &wrong).await);
    let properties = value(template, &[("Name", "abc"), ("Size", "7")]).await;
    assert_eq!(properties.to_string(), r#"{"Mode":"FAST","Count":7,"Items":["a","b"]}"#);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_number_and_half_a_pattern_are_refused() {
    let template = |parameter: &str| format!("Parameters: {{P: {parameter}}}\nResources: {{T: {{Type: Test::Thing}}}}");
    let bounded = template("{Type: Number, MinValue: 1, MaxValue: 10}");
    for value in ["NaN", "inf", "-infinity", "1e999"] {
        let told = mistakes(&bounded, &[("P", value)]).await;
        assert!(told.contains("must be a number"), "{value}: {told}");
    }
    // With the anchors around it, it would let through all that begins with an a.
    let told = mistakes(&template("{Type: String, AllowedPattern: 'a)|(?:b'}"), &[("P", "a and more")]).await;
    assert!(told.contains("a regular expression for AllowedPattern"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn functions_give_their_values() {
    let template = r#"
Parameters:
  Stage: {Type: String, Default: prod}
  Names: {Type: CommaDelimitedList, Default: "x,y,z"}
Mappings:
  Sizes: {us-east-1: {small: 1.10, many: [a, b]}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsTest: !Not [!Condition IsProd]
  Either: !Or [!Condition IsTest, !And [!Condition IsProd, !Equals [1, "1"]]]
Resources:
  Other: {Type: Test::Thing, Condition: IsProd}
  Never: {Type: Test::Thing, Condition: IsTest}
  T:
    Type: Test::Thing
    Properties:
      Value: !If [IsTest, !Ref Never, !GetAtt Other.Arn]
      Kind: !If [IsProd, !Ref "AWS::NoValue", x]
      Count: "4"
      On: "TRUE"
      Document:
        Join: !Join ["-", [a, 1, true, !Ref Stage]]
        Sub: !Sub ["${A} ${!B} ${Stage} ${Other} ${AWS::Region} $x $", {A: !Select [1, !Ref Names]}]
        Split: !Split ["|", "a|b"]
        Map: !FindInMap [Sizes, !Ref "AWS::Region", small]
        Many: !FindInMap [Sizes, us-east-1, many]
        Base64: !Base64 "Hello, wörld"
        Length: !Length [a, b, c]
        Json: !ToJsonString {a: [1, !Ref Stage]}
        Left: [!Ref "AWS::NoValue", kept]
        Account: !Ref AWS::AccountId
        Zones: !GetAZs ""
        Suffix: !Sub "${AWS::Partition}.${AWS::URLSuffix}.${AWS::StackName}"
        Either: !If [Either, "yes", "no"]
        Plain: [012345678901, 0x1F, 1e3, 2012-10-17, yes, ~, 1.10, -5]
        Condition: {StringEquals: {a: b}}
"#;
    let properties = value(template, &[]).await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&properties).unwrap());
}

#[tokio::test(start_paused = true)]
async fn json_is_read_with_tabs_and_surrogate_pairs() {
    let template = "{\n\t\"Resources\": {\"T\": {\"Type\": \"Test::Thing\", \"Properties\": {\"Value\": \"\\ud83d\\ude00 \\\\ud83d\\/ \\u00e9\", \"Document\": {\"Fn::Join\": [\"\", [\"a\\n\", \"b\"]]}}}}\n}";
    let properties = value(template, &[]).await;
    assert_eq!(properties["Value"], "😀 \\ud83d/ é");
    assert_eq!(properties["Document"], "a\nb");
    // Lines survive what is done to the text; a pair shortens its line by two columns.
    let wrong = mistakes(&template.replace("\"Value\"", "\"Valu\""), &[]).await;
    assert!(wrong.starts_with("line 2, column 60: resource \"T\": unknown property \"Valu\""), "{wrong}");
}

#[test]
fn size_depth_and_aliases_are_bounded() {
    let limit = |text: &str| Template::parse(text).unwrap_err().problems.remove(0).fault;
    assert!(matches!(limit(&" ".repeat(TEMPLATE_BYTES_MAX + 1)), Fault::Limit { what: "bytes of the template", .. }));
    let deep = format!("A: {}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
    assert!(matches!(limit(&deep), Fault::Limit { what: "depth of the template", .. }));
    let deep = format!("{{\"A\": {}{}}}", "[".repeat(100), "]".repeat(100));
    assert!(matches!(limit(&deep), Fault::Limit { what: "depth of the template", .. }));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let previous = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
    }
    assert!(matches!(limit(&bomb), Fault::Limit { what: "values of the template", .. }));
    assert!(matches!(limit("a: &a [*a]"), Fault::Unsupported(_)));
    let mut many = String::from("Resources:\n");
    for number in 0..501 {
        many.push_str(&format!("  R{number}: {{Type: Test::Thing}}\n"));
    }
    assert!(matches!(limit(&many), Fault::Limit { what: "resources", limit: 500, actual: 501 }));
}

#[test]
fn aliases_of_a_long_text_are_bounded_by_their_bytes() {
    let fault = |text: &str| Template::parse(text).unwrap_err().problems.remove(0).fault;
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(1_000), "*a, ".repeat(3_000));
    let what = "bytes of the template's texts with its aliases";
    assert!(matches!(fault(&long), Fault::Limit { what: found, .. } if found == what), "{:?}", fault(&long));
    // Each anchor keeps a copy of all that it holds.
    let within = (0..40).fold(format!("&z [{}]", "x, ".repeat(6_000)), |inner, level| format!("&a{level} [{inner}]"));
    assert!(matches!(fault(&within), Fault::Limit { what: "values of the template", .. }), "{:?}", fault(&within));
}

#[test]
fn an_object_of_a_hundred_thousand_names_is_read_at_once() {
    let names: String = (0..90_000).map(|number| format!("n{number}: 1\n")).collect();
    assert!(Template::parse(&format!("{names}n7: 2")).is_err());
}

#[tokio::test(start_paused = true)]
async fn functions_that_multiply_a_text_are_bounded() {
    let resource = |value: String| format!("Resources: {{A: {{Type: Test::Thing, Properties: {{Value: {value}}}}}}}");
    let doubled = (0..28).fold("x".to_owned(), |inner, _| format!("!Sub [\"${{a}}${{a}}\", {{a: {inner}}}]"));
    // Even what comes to nothing takes time.
    let empty = (0..28).fold("\"\"".to_owned(), |inner, _| format!("!Sub [\"${{a}}${{a}}\", {{a: {inner}}}]"));
    let joined =
        (0..12).fold("\"x,x\"".to_owned(), |inner, _| format!("!Join [\",,,,,,,,\", !Split [\",\", {inner}]]"));
    for value in [doubled, empty, joined] {
        let told = mistakes(&resource(value), &[]).await;
        assert!(told.contains("bytes that the template's functions make"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_names_and_patterns_are_not_worked_on() {
    let long = "n".repeat(300_000);
    let broken = "!Nothing x, ".repeat(20_000);
    let told = mistakes(
        &format!("Resources:\n  A:\n    Type: Test::Thing\n    Properties:\n      ? {long}\n      : [{broken}]"),
        &[],
    )
    .await;
    assert!(told.len() < 100_000, "{} bytes", told.len());
    let pattern = "a".repeat(5_000);
    let text = format!(
        "Parameters: {{P: {{Type: String, Default: a, AllowedPattern: {pattern}}}}}\nResources: {{A: {{Type: Test::Thing}}}}"
    );
    let told = mistakes(&text, &[]).await;
    assert!(told.contains("bytes of AllowedPattern: 5000 is more than 4096"), "{told}");
}

#[test]
fn aliases_are_written_out() {
    let template = Template::parse(
        "
Resources:
  A: {Type: T, Properties: &p {Value: [a, b]}}
  B: {Type: T, Properties: *p}
",
    )
    .unwrap();
    assert_eq!(template.resources[0].properties, template.resources[1].properties);
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Template::parse(&text);
    }

    #[test]
    fn nothing_like_a_template_panics(text in "[ \n\\-:{}\\[\\],!&*|>\"'#a-cRTFn$]{0,80}") {
        let _ = Template::parse(&format!("Resources:\n  A:\n    Type: T\n    Properties: {text}"));
        let _ = Template::parse(&format!("{{{text}}}"));
    }

    #[test]
    fn what_json_says_comes_through_unchanged(text in any::<String>(), number in any::<i64>()) {
        let value = serde_json::json!({"Resources": {"A": {"Type": "T", "Properties": {"P": [text, number, null, true]}}}});
        let (root, _) = read::read(&value.to_string()).unwrap();
        prop_assert_eq!(root.to_json(), value);
    }
}

const RULES: &str = "
Parameters:
  Mode: {Type: String, Default: SLOW}
  Count: {Type: Number, Default: 1}
Rules:
  Fast:
    RuleCondition: !Equals [!Ref Mode, FAST]
    Assertions:
      - Assert: !Not [!Equals [!Ref Count, 1]]
        AssertDescription: a fast one has more than one
  Known:
    Assertions:
      - Assert: !Contains [[SLOW, FAST], !Ref Mode]
Resources:
  T: {Type: Test::Thing, Properties: {Mode: !Ref Mode}}
";

#[tokio::test(start_paused = true)]
async fn rules_hold_parameters_together_before_anything_is_made() {
    assert_eq!(mistakes(RULES, &[]).await, "none");
    assert_eq!(mistakes(RULES, &[("Mode", "FAST"), ("Count", "2")]).await, "none");
    let told = mistakes(RULES, &[("Mode", "FAST")]).await;
    let expected = r#"line 9, column 9: the rule "Fast" does not hold: a fast one has more than one"#;
    assert_eq!(told, expected);
    let told = mistakes(RULES, &[("Mode", "NONE")]).await;
    assert!(told.contains(r#"the rule "Known" does not hold"#), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_cannot_be_read_is_told() {
    for (rule, expected) in [
        ("{Assertions: []}", "expected a list of objects with Assert, found a list"),
        ("{}", r#"member "Assertions" is missing"#),
        ("{Assertion: []}", r#"unknown member "Assertion" (expected one of Assertions"#),
        ("{Assertions: [{AssertDescription: x}]}", r#"member "Assert" is missing"#),
        ("{Assertions: [{Assert: {Condition: C}}]}", "expected Fn::Equals, Fn::And, Fn::Or, Fn::Not or Fn::Contains"),
        ("{Assertions: [{Assert: !Contains [x]}]}", "expected [a list, a value]"),
        ("{Assertions: [{Assert: {Fn::EachMemberIn: [[a], [b]]}}]}", "Fn::EachMemberIn is not supported"),
        ("{Assertions: [{Assert: !Equals [!Ref T, 1]}]}", "parameters only"),
        ("{Assertions: [{Assert: !Equals [!Ref Nobody, 1]}]}", r#"unknown parameter "Nobody""#),
    ] {
        let told = mistakes(&format!("Rules:\n  R: {rule}\nResources:\n  T: {{Type: Test::Thing}}\n"), &[]).await;
        assert!(told.contains(expected), "{rule}: {told}");
    }
    let condition = "Conditions:\n  C: !Contains [[a], b]\nResources:\n  T: {Type: Test::Thing}\n";
    let told = mistakes(condition, &[]).await;
    assert!(told.contains("expected Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition"), "for rules only: {told}");
}

#[tokio::test(start_paused = true)]
async fn a_parameter_may_name_one_of_parameter_store() {
    let template = "
Parameters:
  Colour: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /app/colour}
  Names: {Type: 'AWS::SSM::Parameter::Value<List<String>>', Default: /app/names}
  Name: {Type: 'AWS::SSM::Parameter::Name', Default: /app/none}
Rules:
  NotRed: {Assertions: [{Assert: !Not [!Contains [[red], !Ref Colour]]}]}
Resources:
  T: {Type: Test::Thing, Properties: {Value: !Join ['', [!Ref Colour, !Select [1, !Ref Names], !Ref Name]]}}
";
    let told = mistakes(template, &[]).await;
    assert!(told.contains(r#"unknown parameter in Parameter Store "/app/colour""#), "{told}");
    let store = MemoryStore::default();
    let put = async |name: &str, value: &str| {
        let parameter = headwater_model::ssm::Parameter {
            name: name.into(),
            kind: headwater_model::ssm::Kind::String,
            value: headwater_model::Secret::new(value),
            version: 1,
            description: String::new(),
            tags: Default::default(),
            modified_at: headwater_model::Timestamp(0),
        };
        let mut batch = headwater_store::Batch::new();
        batch.put(&parameter).unwrap();
        headwater_store::Store::commit(&store, batch).await.unwrap();
    };
    put("/app/colour", "blue").await;
    put("/app/names", "a, b").await;
    let world = World::default();
    let engine = Engine::new(Arc::new(store.clone()), Realm::default(), Options::default());
    engine.register(world.registry());
    let id = engine.create(CreateStack::new("s", template)).await.unwrap();
    let cancel = CancellationToken::new();
    let worker = tokio::spawn({
        let (engine, cancel) = (engine.clone(), cancel.clone());
        async move { engine.run(cancel).await }
    });
    let stack = engine.settled(&id).await.unwrap();
    assert_eq!(stack.status.as_str(), "CREATE_COMPLETE", "{:?}", engine.events(&id).await);
    assert_eq!(world.of("T").unwrap().1.properties["Value"], "blueb/app/none");
    let again = engine.update(UpdateStack::new("s", template)).await;
    assert_eq!(again.unwrap_err().to_string(), "No updates are to be performed.");
    put("/app/colour", "green").await;
    engine.settled(&engine.update(UpdateStack::new("s", template)).await.unwrap()).await.unwrap();
    assert_eq!(world.of("T").unwrap().1.properties["Value"], "greenb/app/none", "the value is read for each update");
    put("/app/colour", "red").await;
    let refused = engine.update(UpdateStack::new("s", template)).await.unwrap_err().to_string();
    assert!(refused.contains(r#"the rule "NotRed" does not hold"#), "{refused}");
    cancel.cancel();
    worker.await.unwrap();
}
