//! What functions see and what their callers get, by runtime.

use super::*;
use serde_json::json;
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn archive(files: &[(&str, String)]) -> Package {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    Package::Zip(writer.finish().unwrap().into_inner().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_function_gets_its_event_and_its_context() {
    let bench = Bench::new().await;
    let source = r#"
def handler(event, context):
    return {
        "event": event,
        "name": context.function_name, "version": context.function_version, "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb, "request": context.aws_request_id,
        "group": context.log_group_name, "stream": context.log_stream_name,
        "left": 0 < context.get_remaining_time_in_millis() <= 30000,
        "client": context.client_context.custom, "identity": context.identity.cognito_identity_id,
    }
"#;
    let function = bench.python("echo", source).await;
    let options = InvokeOptions {
        request_id: Some("11111111-2222-3333-4444-555555555555".into()),
        client_context: Some(r#"{"custom":{"k":"v"}}"#.into()),
    };
    let payload = Bytes::from_static("{\"say\":\"gr\u{fc}\u{df}e\"}".as_bytes());
    let outcome = bench.functions.invoke(&function, payload, options).await.unwrap();
    assert_eq!(outcome.function_error, None);
    assert_eq!(
        json(&outcome),
        json!({
            "event": {"say": "gr\u{fc}\u{df}e"},
            "name": "echo", "version": "$LATEST", "arn": function.arn,
            "memory": "256", "request": "11111111-2222-3333-4444-555555555555",
            "group": "/aws/lambda/echo", "stream": function.log_stream,
            "left": true, "client": {"k": "v"}, "identity": null,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_sees_lambdas_environment_and_nothing_of_the_servers() {
    let bench = Bench::new().await;
    let source = "import os\ndef handler(event, context): return dict(os.environ)";
    let package = Package::Inline(source.into());
    let function = bench
        .function("env", "python3.8", package, |function| {
            function.environment.insert("GREETING".into(), "hello".into());
            function.environment.insert("AWS_REGION".into(), "nowhere".into());
        })
        .await;
    let seen = json(&bench.invoke(&function, "{}").await);
    let seen = seen.as_object().unwrap();
    let value = |name: &str| seen.get(name).and_then(Value::as_str).unwrap_or_default();
    for (name, expected) in [
        ("GREETING", "hello"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.8"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        ("AWS_ACCESS_KEY_ID", "ASIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "secret of arn:aws:iam::000000000000:role/worker"),
        ("AWS_SESSION_TOKEN", "token-of-the-session"),
        ("AWS_LAMBDA_FUNCTION_NAME", "env"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/env"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", &function.log_stream),
        ("_HANDLER", "index.handler"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TZ", ":UTC"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    assert!(value("LAMBDA_TASK_ROOT").ends_with(&function.code_sha256));
    assert!(value("_X_AMZN_TRACE_ID").starts_with("Root=1-"));
    // The test runner's own environment has these.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO")) {
        assert!(!seen.contains_key(&name), "{name} leaked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_errors_have_lambdas_payloads() {
    let bench = Bench::new().await;
    let raising =
        bench.python("raising", "def handler(event, context):\n    raise ValueError('no ' + event['what'])").await;
    let outcome = bench.invoke(&raising, r#"{"what":"cue"}"#).await;
    assert_eq!(outcome.function_error.as_deref(), Some("Unhandled"));
    let error = json(&outcome);
    assert_eq!(error["errorMessage"], "no cue");
    assert_eq!(error["errorType"], "ValueError");
    assert_eq!(error["requestId"], outcome.request_id);
    let frame = error["stackTrace"][0].as_str().unwrap();
    assert!(frame.contains("index.py\", line 2, in handler"), "{frame}");

    let cases = [
        (
            "import nowhere_to_be_found",
            "index.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'index': No module named 'nowhere_to_be_found'",
        ),
        ("x = 1", "index.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'"),
        (
            "x = 1",
            "main.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'main': No module named 'main'",
        ),
        ("x = 1", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler': it must be FILE.FUNCTION"),
        ("raise KeyError('at import')", "index.handler", "KeyError", "'at import'"),
    ];
    for (source, handler, kind, message) in cases {
        let package = Package::Inline(source.into());
        let function = bench.function("loading", "python3.8", package, |f| f.handler = handler.into()).await;
        let outcome = bench.invoke(&function, "{}").await;
        assert_eq!(outcome.function_error.as_deref(), Some("Unhandled"), "{source}");
        assert_eq!(json(&outcome)["errorType"], kind, "{source}");
        assert_eq!(json(&outcome)["errorMessage"], message, "{source}");
    }
    let broken = bench.python("broken", "def handler(:\n").await;
    assert_eq!(json(&bench.invoke(&broken, "{}").await)["errorType"], "Runtime.UserCodeSyntaxError");
    let unserializable = bench.python("sets", "def handler(event, context): return {1, 2}").await;
    let outcome = bench.invoke(&unserializable, "{}").await;
    assert_eq!(json(&outcome)["errorType"], "Runtime.MarshalError");
    assert_eq!(
        json(&outcome)["errorMessage"],
        "Unable to marshal response: Object of type set is not JSON serializable"
    );
}

/// One request that a listener of ours got, and 200 for an answer.
async fn one_request(listener: tokio::net::TcpListener) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut peer, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    loop {
        let read = peer.read_buf(&mut request).await.unwrap();
        let text = String::from_utf8_lossy(&request);
        let length = text
            .to_ascii_lowercase()
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split_once("\r\n").and_then(|(length, _)| length.parse::<usize>().ok()));
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if read == 0 || (body.is_some() && body >= length) {
            break;
        }
    }
    peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    String::from_utf8(request).unwrap()
}

fn custom_resource_event(url: &str) -> String {
    json!({"ResponseURL": url, "StackId": "stack", "RequestId": "request", "LogicalResourceId": "Site"}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn cfnresponse_puts_the_answer_to_the_url_as_given() {
    let bench = Bench::new().await;
    let python = "import cfnresponse\ndef handler(event, context):\n    cfnresponse.send(event, context, cfnresponse.SUCCESS, {'Url': 'x'})";
    let node = "const cfn = require('cfn-response');\n\
                exports.handler = (event, context) => { cfn.send(event, context, cfn.SUCCESS, {Url: 'x'}); };";
    for (runtime, source) in [("python3.8", python), ("nodejs20.x", node)] {
        let function = bench.function("answering", runtime, Package::Inline(source.into()), |_| {}).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/answer/me?Signature=s1gn%2Bed", listener.local_addr().unwrap());
        let event = custom_resource_event(&url);
        let (request, outcome) = tokio::join!(one_request(listener), bench.invoke(&function, &event));
        assert_eq!(outcome.function_error, None, "{runtime}: {}", outcome.log_tail);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("PUT /answer/me?Signature=s1gn%2Bed HTTP/1.1"), "{head}");
        assert!(head.to_ascii_lowercase().lines().any(|line| line.trim_end() == "content-type:"), "{head}");
        let answer: Value = serde_json::from_str(body).unwrap();
        assert_eq!(answer["Status"], "SUCCESS");
        assert_eq!(answer["PhysicalResourceId"], function.log_stream.as_str());
        assert_eq!(answer["StackId"], "stack");
        assert_eq!(answer["RequestId"], "request");
        assert_eq!(answer["LogicalResourceId"], "Site");
        assert_eq!(answer["NoEcho"], false);
        assert_eq!(answer["Data"], json!({"Url": "x"}));
        assert!(answer["Reason"].as_str().unwrap().contains(&function.log_stream));
        assert!(outcome.log_tail.contains("200"), "{}", outcome.log_tail);
        assert!(!outcome.log_tail.contains("/answer/me"), "{}", outcome.log_tail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packaged_python_function_imports_its_own_modules() {
    let bench = Bench::new().await;
    let package = archive(&[
        ("app/main.py", "from lib.words import WORD\ndef run(event, context): return WORD".into()),
        ("lib/words.py", "WORD = 'found'".into()),
    ]);
    let function = bench.function("zipped", "python3.12", package, |f| f.handler = "app/main.run".into()).await;
    assert_eq!(json(&bench.invoke(&function, "{}").await), "found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_function_may_return_call_back_or_throw() {
    let bench = Bench::new().await;
    let source = r"
exports.returns = async (event, context) => ({ got: event.n, name: context.functionName, left: context.getRemainingTimeInMillis() > 0 });
exports.callsBack = (event, context, callback) => { setTimeout(() => callback(null, event.n + 1), 1); };
exports.silent = (event, context) => {};
exports.throws = async () => { class Wrong extends Error { get name() { return 'Wrong'; } } throw new Wrong('on purpose'); };
exports.prints = async () => { console.log('seen %d', 7); console.error('and this'); };
";
    let node = async |handler: &str| {
        let package = Package::Inline(source.into());
        let function = bench.function("node", "nodejs20.x", package, |f| f.handler = format!("index.{handler}")).await;
        bench.invoke(&function, r#"{"n":1}"#).await
    };
    assert_eq!(json(&node("returns").await), json!({"got": 1, "name": "node", "left": true}));
    assert_eq!(json(&node("callsBack").await), 2);
    assert_eq!(json(&node("silent").await), Value::Null);
    let thrown = node("throws").await;
    assert_eq!(thrown.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(json(&thrown)["errorType"], "Wrong");
    assert_eq!(json(&thrown)["errorMessage"], "on purpose");
    let printed = node("prints").await;
    let line = |text: &str| format!("\t{}\t{text}", printed.request_id);
    assert!(printed.log_tail.contains(&line("INFO\tseen 7")), "{}", printed.log_tail);
    assert!(printed.log_tail.contains(&line("ERROR\tand this")), "{}", printed.log_tail);
    assert_eq!(json(&node("absent").await)["errorType"], "Runtime.HandlerNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_module_is_imported() {
    let bench = Bench::new().await;
    let package = archive(&[("index.mjs", "export const handler = async (event) => event.list.length;".into())]);
    let function = bench.function("module", "nodejs22.x", package, |_| {}).await;
    assert_eq!(json(&bench.invoke(&function, r#"{"list":[1,2,3]}"#).await), 3);
}

/// A custom runtime, in the words of the Runtime API's documentation and nothing of ours.
const CUSTOM_RUNTIME: &str = r#"
import json, os, urllib.error, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime"
def post(path, body, headers={}):
    try:
        return urllib.request.urlopen(urllib.request.Request(base + path, body, headers)).status
    except urllib.error.HTTPError as error:
        return error.code
while True:
    work = urllib.request.urlopen(base + "/invocation/next")
    request = work.headers["Lambda-Runtime-Aws-Request-Id"]
    invocation = work.headers["Lambda-Runtime-Invocation-Id"]
    event = json.load(work)
    codes = [
        post("/invocation/another/response", b"1"),
        post("/invocation/%s/response" % request, b"1", {"Lambda-Runtime-Invocation-Id": "another"}),
        post("/init/error", b"{}"),
    ]
    if event.get("fail"):
        post("/invocation/%s/error" % request, b"", {"Lambda-Runtime-Function-Error-Type": "Custom.Reason"})
    elif event.get("size"):
        print("refused with", post("/invocation/%s/response" % request, b"x" * event["size"]), flush=True)
    else:
        answer = {"codes": codes, "deadline": int(work.headers["Lambda-Runtime-Deadline-Ms"]) > 0}
        status = post("/invocation/%s/response" % request, json.dumps(answer).encode(), {"Lambda-Runtime-Invocation-Id": invocation})
        print("answered with", status, "then", post("/invocation/%s/response" % request, b"2"), flush=True)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_provided_bootstrap_is_spoken_to_by_the_runtime_api() {
    let bench = Bench::new().await;
    let python = bench.functions.inner.workshop.interpreters.python().await.unwrap().display().to_string();
    let package = archive(&[("bootstrap", format!("#!{python}\n{CUSTOM_RUNTIME}"))]);
    let function = bench.function("custom", "provided.al2023", package, |_| {}).await;
    let outcome = bench.invoke(&function, "{}").await;
    assert_eq!(json(&outcome), json!({"codes": [400, 400, 403], "deadline": true}), "{}", outcome.log_tail);

    let failed = bench.invoke(&function, r#"{"fail":true}"#).await;
    assert_eq!(json(&failed), json!({"errorMessage": "", "errorType": "Custom.Reason"}));
    assert!(bench.log(&function).await.contains(&"answered with 202 then 400".to_owned()));

    let fits = 6_291_556;
    let too_large = bench.invoke(&function, &format!(r#"{{"size":{}}}"#, fits + 1)).await;
    assert_eq!(json(&too_large)["errorType"], "Function.ResponseSizeTooLarge");
    let large = bench.invoke(&function, &format!(r#"{{"size":{fits}}}"#)).await;
    assert_eq!((large.function_error, large.payload.len()), (None, fits));
    assert!(bench.log(&function).await.contains(&"refused with 413".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_refused_with_the_reason() {
    let bench = Bench::with(|config| config.python = Some("/nonexistent/python3".into())).await;
    let deploy = async |package, runtime: &str| {
        bench.functions.deploy(package, runtime, "index.handler").await.map(drop).map_err(|error| error.to_string())
    };
    let source = || Package::Inline("x".into());
    let missing = deploy(source(), "python3.12").await.unwrap_err();
    assert!(missing.contains("apt-get install -y python3 python3-venv"), "{missing}");
    assert!(missing.contains("pip install boto3"), "{missing}");
    assert_eq!(
        deploy(source(), "cobol85").await,
        Err("runtime \"cobol85\" is not one of python3.*, nodejs*, provided, provided.*".into())
    );
    assert_eq!(
        deploy(source(), "provided.al2023").await,
        Err("inline source needs a python3 or nodejs runtime, not provided.al2023".into())
    );
    assert_eq!(
        deploy(Package::Inline("x".repeat(4 * 1024 * 1024 + 1)), "nodejs20.x").await,
        Err("the package has more than 4194304 bytes".into())
    );
}
