//! Paths, inputs and outputs of the service model; the operations themselves are tested where they are and through SDKs.

use super::*;
use headwater_control::lambda::Code;

fn routed(method: Method, path: &str) -> Option<(String, Value)> {
    route(&method, path).map(|(operation, input)| (operation, Value::Object(input.0)))
}

fn input(members: Value) -> Input {
    match members {
        Value::Object(members) => Input(members),
        other => panic!("{other} is no object"),
    }
}

#[test]
fn operations_are_found_by_method_and_path() {
    let f = |operation: &str| Some((operation.to_owned(), json!({ "FunctionName": "f" })));
    assert_eq!(routed(Method::POST, "/2015-03-31/functions"), Some(("CreateFunction".into(), json!({}))));
    assert_eq!(routed(Method::GET, "/2015-03-31/functions/"), Some(("ListFunctions".into(), json!({}))));
    assert_eq!(routed(Method::GET, "/2015-03-31/functions/f"), f("GetFunction"));
    assert_eq!(routed(Method::DELETE, "/2015-03-31/functions/f"), f("DeleteFunction"));
    assert_eq!(routed(Method::POST, "/2015-03-31/functions/f/invocations"), f("Invoke"));
    assert_eq!(routed(Method::PUT, "/2019-09-25/functions/f/event-invoke-config"), f("PutFunctionEventInvokeConfig"));
    assert_eq!(
        routed(Method::DELETE, "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax%3Ay%3Afunction%3Af/policy/s"),
        Some((
            "RemovePermission".into(),
            json!({ "FunctionName": "arn:aws:lambda:x:y:function:f", "StatementId": "s" })
        ))
    );
    assert_eq!(
        routed(Method::GET, "/2017-03-31/tags/arn%3Aaws%3Alambda"),
        Some(("ListTags".into(), json!({ "Resource": "arn:aws:lambda" })))
    );
    for (method, path) in [
        (Method::PATCH, "/2015-03-31/functions/f"),
        (Method::GET, "/2015-03-31/functions/f/invocations"),
        (Method::GET, "/2019-09-25/functions/f"),
        (Method::GET, "/"),
    ] {
        assert_eq!(routed(method, path), None, "{path}");
    }
}

#[test]
fn leave_is_asked_for_the_function_however_it_is_named() {
    let realm = Realm::default();
    let arn = realm.function_arn("f");
    for named in ["f", "f:$LATEST", "000000000000:function:f", arn.as_str()] {
        let access = access(&realm, "Invoke", &input(json!({ "FunctionName": named })));
        let wanted = Access { action: "lambda:InvokeFunction".into(), resource: arn.clone() };
        assert_eq!(access, Some(wanted), "{named}");
    }
    assert_eq!(access(&realm, "ListFunctions", &Input::default()), None);
}

#[test]
fn a_new_function_is_read_from_its_members() {
    let realm = Realm::default();
    let members = json!({
        "FunctionName": realm.function_arn("f"),
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "index.handler",
        "Code": { "ZipFile": "UEs=" },
        "Timeout": 9,
        "Environment": { "Variables": { "AB": "c" } },
        "Tags": { "k": "v" },
        "VpcConfig": { "SubnetIds": [], "SecurityGroupIds": [] },
        "DeadLetterConfig": { "TargetArn": "" },
        "Layers": [],
        "Publish": false,
        "PackageType": "Zip",
        "TracingConfig": { "Mode": "Active" },
    });
    let new = shapes::new_function(&input(members.clone()), &realm).expect("it is whole");
    assert_eq!((new.name.as_str(), new.settings.timeout_s, new.settings.memory_mb), ("f", Some(9), None));
    assert_eq!(new.settings.environment, Some([("AB".to_owned(), "c".to_owned())].into()));
    assert!(matches!(&new.code, Code::Zip(bytes) if &bytes[..] == b"PK"), "{:?}", new.code);

    for (member, value, message) in [
        ("Layers", json!(["arn"]), "Layers is not supported here"),
        ("PackageType", json!("Image"), "PackageType Image is not supported here"),
        ("VpcConfig", json!({ "SubnetIds": ["s"] }), "VpcConfig.SubnetIds is not supported here"),
        ("DeadLetterConfig", json!({ "TargetArn": "arn" }), "DeadLetterConfig.TargetArn is not supported here"),
        ("Code", json!({ "ZipFile": "?" }), "ZipFile must be base64"),
        ("Code", json!({ "ImageUri": "x" }), "ImageUri is not supported here"),
        ("Timeout", json!(-1), "Timeout is out of range"),
        ("Environment", json!({ "Variables": { "A": 1 } }), "Variables must be a map of strings"),
    ] {
        let mut wrong = members.clone();
        wrong[member] = value;
        let error = shapes::new_function(&input(wrong), &realm).expect_err(message);
        assert_eq!(error.message, message);
    }
}

#[test]
fn errors_have_lambdas_names_and_members() {
    let named = |error: ServiceError| shapes::error_members(error);
    let invalid = named(ServiceError::validation("x"));
    assert_eq!((invalid.code.as_ref(), &invalid.members["Type"]), ("InvalidParameterValueException", &json!("User")));
    let missing = named(not_found("gone"));
    assert_eq!((&missing.members["Message"], missing.status), (&json!("gone"), StatusCode::NOT_FOUND));
    let failed = named(ServiceError::internal(&std::io::Error::other("hidden")));
    assert_eq!((failed.code.as_ref(), &failed.members["Type"]), ("ServiceException", &json!("Service")));
    assert!(!failed.message.contains("hidden"));
    let throttled = InvokeError::TooManyRequests { running: 1, waited: std::time::Duration::from_secs(1) };
    let throttled = named(error(lambda::Error::Invoke(throttled)));
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS);
}
