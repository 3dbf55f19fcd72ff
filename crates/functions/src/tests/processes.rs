//! Limits, reuse, logs, and how processes end.

use super::*;

fn field<'a>(report: &'a str, name: &str) -> Option<&'a str> {
    report.split('\t').find_map(|part| part.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_tells_an_invocation_in_order_and_without_secrets() {
    let bench = Bench::new().await;
    let source = r#"
import logging, os, sys
print("loading")
def handler(event, context):
    for n in range(3):
        print("out", n)
        print("err", n, file=sys.stderr)
    os.write(1, b"raw, without an end")
    logging.getLogger().warning("careful %s", "now")
    print(os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_SESSION_TOKEN"])
    sys.stdout.write("no newline")
    return "x" * 10
"#;
    let function = bench.python("talks", source).await;
    let outcome = bench.invoke(&function, "{}").await;
    let id = &outcome.request_id;
    let lines = bench.log(&function).await;
    let (report, lines) = lines.split_last().unwrap();
    let (warning, others): (Vec<_>, Vec<_>) =
        lines.iter().map(String::as_str).partition(|line| line.contains("WARNING"));
    let start = format!("START RequestId: {id} Version: $LATEST");
    let end = format!("END RequestId: {id}");
    assert_eq!(
        others,
        [
            "loading",
            &start,
            "out 0",
            "err 0",
            "out 1",
            "err 1",
            "out 2",
            "err 2",
            "[redacted] [redacted]",
            "no newline",
            &end
        ]
    );
    assert!(warning[0].starts_with("raw, without an end[WARNING]\t20"), "{warning:?}");
    assert!(warning[0].ends_with(&format!("Z\t{id}\tcareful now")), "{warning:?}");
    assert!(report.starts_with(&format!("REPORT RequestId: {id}\tDuration: ")), "{report}");
    assert_eq!(field(report, "Memory Size"), Some("256 MB"));
    assert!(field(report, "Init Duration").is_some(), "{report}");
    let used: u64 = field(report, "Max Memory Used").unwrap().trim_end_matches(" MB").parse().unwrap();
    assert!((1..256).contains(&used), "{report}");
    assert!(outcome.log_tail.starts_with("loading\nSTART"), "{}", outcome.log_tail);
    assert!(outcome.log_tail.ends_with(&format!("{report}\n")), "{}", outcome.log_tail);

    let warm = bench.invoke(&function, "{}").await;
    assert!(warm.log_tail.starts_with(&format!("START RequestId: {}", warm.request_id)), "{}", warm.log_tail);
    assert!(!warm.log_tail.contains("Init Duration"), "{}", warm.log_tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_is_the_last_four_kilobytes_and_long_lines_are_broken() {
    let bench = Bench::new().await;
    let source = "def handler(event, context):\n    print('a' * 300000)\n    for n in range(2000): print('line', n)";
    let function = bench.python("chatty", source).await;
    let outcome = bench.invoke(&function, "{}").await;
    assert_eq!(outcome.log_tail.len(), 4096);
    let lines = bench.log(&function).await;
    assert_eq!(lines[1].len(), 256 * 1024);
    assert_eq!(lines[1].len() + lines[2].len(), 300_000);
    let numbered: Vec<String> = (0..2000).map(|n| format!("line {n}")).collect();
    assert_eq!(lines[3..2003], numbered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_reused_while_it_works_and_its_function_is_the_same() {
    let bench = Bench::new().await;
    let source = "import os\ncount = 0\ndef handler(event, context):\n    global count\n    count += 1\n    \
                  if event.get('fail'): raise Exception('x')\n    return [os.getpid(), count]";
    let mut function = bench.python("warm", source).await;
    let first = json(&bench.invoke(&function, "{}").await);
    assert_eq!(first[1], 1);
    bench.invoke(&function, r#"{"fail":true}"#).await;
    let second = json(&bench.invoke(&function, "{}").await);
    assert_eq!((&second[0], &second[1]), (&first[0], &Value::from(3)));
    // What does not change the process does not end it.
    function.revision_id = "2".into();
    assert_eq!(json(&bench.invoke(&function, "{}").await)[1], 4);
    function.environment.insert("A".into(), "b".into());
    let other = json(&bench.invoke(&function, "{}").await);
    assert_eq!(other[1], 1);
    assert_ne!(other[0], first[0]);
    until("the end of the old process", || async { !alive(&first[0]) }).await;
    bench.functions.retire("warm");
    until("the end of the retired process", || async { !alive(&other[0]) }).await;
}

fn alive(pid: &Value) -> bool {
    // A zombie is dead; it is only not yet collected.
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_at_the_same_time_get_processes_of_their_own_up_to_the_limit() {
    let bench = Bench::with(|config| {
        config.concurrency_max = 2;
        config.turn_wait = Duration::from_millis(200);
    })
    .await;
    let folder = bench.folder.path().join("meet");
    std::fs::create_dir(&folder).unwrap();
    let source = format!(
        "import os, time\ndef handler(event, context):\n    folder = {folder:?}\n    \
         open(os.path.join(folder, event), 'w').close()\n    \
         while not os.path.exists(os.path.join(folder, 'go')): time.sleep(0.01)\n    return os.getpid()"
    );
    let function = bench.python("meet", &source).await;
    let call = |name: &'static str| {
        let (functions, function) = (bench.functions.clone(), function.clone());
        tokio::spawn(async move {
            functions.invoke(&function, Bytes::from(format!("{name:?}")), InvokeOptions::default()).await
        })
    };
    let (a, b) = (call("a"), call("b"));
    until("both", || async { folder.join("a").exists() && folder.join("b").exists() }).await;
    let third = call("c").await.unwrap();
    assert!(matches!(third, Err(InvokeError::TooManyRequests { running: 2, .. })), "{third:?}");
    std::fs::write(folder.join("go"), "").unwrap();
    let (a, b) = (a.await.unwrap().unwrap(), b.await.unwrap().unwrap());
    assert_ne!(json(&a), json(&b));
    assert_eq!(bench.invoke(&function, "\"d\"").await.function_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_takes_too_long_is_killed_with_its_children() {
    let bench = Bench::new().await;
    let pids = bench.folder.path().join("pids");
    let source = format!(
        "import os, subprocess, time\ndef handler(event, context):\n    child = subprocess.Popen(['sleep', '600'])\n    \
         open({pids:?}, 'w').write('%d %d' % (os.getpid(), child.pid))\n    print('waiting')\n    time.sleep(600)"
    );
    let package = Package::Inline(source);
    let function = bench.function("slow", "python3.8", package, |f| f.timeout_s = 2).await;
    let outcome = bench.invoke(&function, "{}").await;
    let id = &outcome.request_id;
    assert_eq!(outcome.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(json(&outcome)["errorType"], "Sandbox.Timedout");
    assert_eq!(json(&outcome)["errorMessage"], format!("RequestId: {id} Error: Task timed out after 2.00 seconds"));
    let lines = bench.log(&function).await;
    assert_eq!(lines[1], "waiting");
    assert!(lines[2].ends_with(&format!("Z {id} Task timed out after 2.00 seconds")), "{lines:?}");
    assert!(lines[4].ends_with("\tStatus: timeout"), "{lines:?}");
    for pid in std::fs::read_to_string(pids).unwrap().split(' ') {
        let pid = Value::from(pid.parse::<u32>().unwrap());
        until("the end of the process", || async { !alive(&pid) }).await;
    }
    assert_eq!(json(&bench.invoke(&function, "{}").await)["errorType"], "Sandbox.Timedout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_takes_too_much_memory_is_killed() {
    let bench = Bench::new().await;
    let source = "import time\ndef handler(event, context):\n    kept = []\n    \
                  while True:\n        kept.append(bytearray(8 * 1024 * 1024))\n        time.sleep(0.005)";
    let package = Package::Inline(source.into());
    let function = bench.function("greedy", "python3.8", package, |f| f.memory_mb = 128).await;
    let outcome = bench.invoke(&function, "{}").await;
    assert_eq!(json(&outcome)["errorType"], "Runtime.OutOfMemory");
    let used = field(outcome.log_tail.lines().last().unwrap(), "Max Memory Used").unwrap();
    let used: u64 = used.trim_end_matches(" MB").parse().unwrap();
    assert!((129..1000).contains(&used), "{}", outcome.log_tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_ends_its_process_has_failed_and_the_next_call_gets_a_new_one() {
    let bench = Bench::new().await;
    let source = "import os, sys\ndef handler(event, context):\n    print('bye')\n    \
                  if event['how'] == 'exit': sys.exit(3)\n    if event['how'] == 'quiet': os._exit(0)\n    \
                  if event['how'] == 'kill': os.kill(os.getpid(), 9)\n    return 'alive'";
    let function = bench.python("exits", source).await;
    for (how, reason) in [
        ("exit", "with error: exit status 3"),
        ("quiet", "without providing a reason"),
        ("kill", "with error: signal: killed"),
    ] {
        let outcome = bench.invoke(&function, &format!(r#"{{"how":"{how}"}}"#)).await;
        let id = &outcome.request_id;
        assert_eq!(outcome.function_error.as_deref(), Some("Unhandled"));
        assert_eq!(json(&outcome)["errorType"], "Runtime.ExitError");
        assert_eq!(json(&outcome)["errorMessage"], format!("RequestId: {id} Error: Runtime exited {reason}"));
        assert!(outcome.log_tail.contains("\nbye\n"), "{how}: {}", outcome.log_tail);
    }
    assert_eq!(json(&bench.invoke(&function, r#"{"how":"no"}"#).await), "alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_core_dumps_and_open_files_are_limited() {
    let bench = Bench::new().await;
    let source = "import os, resource, tempfile\ndef handler(event, context):\n    \
                  limit = lambda which: resource.getrlimit(which)[1]\n    folder = tempfile.gettempdir()\n    \
                  open(os.path.join(folder, 'f'), 'w').write('x')\n    return [limit(resource.RLIMIT_CORE), \
                  limit(resource.RLIMIT_NOFILE), limit(resource.RLIMIT_FSIZE), os.getpgrp() == os.getpid(), folder]";
    let function = bench.python("limits", source).await;
    let seen = json(&bench.invoke(&function, "{}").await);
    assert_eq!(
        seen.as_array().unwrap()[..4],
        serde_json::json!([0, 1024, 512 * 1024 * 1024, true]).as_array().unwrap()[..]
    );
    let folder = Path::new(seen[4].as_str().unwrap());
    assert!(folder.starts_with(bench.folder.path()) && folder.exists());
    bench.functions.retire("limits");
    until("the end of the process's folder", || async { !folder.exists() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_is_an_error_and_not_an_outcome() {
    let bench = Bench::new().await;
    let function = bench.python("stuck", "def handler(event, context): return 1").await;
    let refusal = async |change: &dyn Fn(&mut Function)| {
        let mut function = function.clone();
        change(&mut function);
        bench.functions.invoke(&function, Bytes::new(), InvokeOptions::default()).await.unwrap_err()
    };
    let error = refusal(&|f| f.role_arn = Realm::default().role_arn("missing")).await;
    assert!(matches!(error, InvokeError::Credentials(CredentialsError::UnknownRole(_))), "{error:?}");
    let error = refusal(&|f| f.code_sha256 = "0".repeat(64)).await;
    assert!(matches!(error, InvokeError::CodeMissing { .. }), "{error:?}");
    let error = refusal(&|f| f.code_sha256 = "../../..".into()).await;
    assert!(matches!(error, InvokeError::CodeMissing { .. }), "{error:?}");
    let large = Bytes::from(vec![b' '; PAYLOAD_BYTES_MAX + 1]);
    let error = bench.functions.invoke(&function, large, InvokeOptions::default()).await.unwrap_err();
    assert!(matches!(error, InvokeError::PayloadTooLarge { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_processes_end_after_their_time_and_at_most_so_many_are_kept() {
    let bench = Bench::with(|config| config.warm_max = 1).await;
    let source = "import os\ndef handler(event, context): return os.getpid()";
    let one = bench.python("one", source).await;
    let two = bench.python("two", source).await;
    let first = json(&bench.invoke(&one, "{}").await);
    let second = json(&bench.invoke(&two, "{}").await);
    until("the end of the surplus process", || async { !alive(&first) }).await;
    assert!(alive(&second));
    bench.functions.end_tired();
    assert!(alive(&second), "five minutes have not passed");
    drop(bench.functions);
    until("the end with the last handle", || async { !alive(&second) }).await;
}
