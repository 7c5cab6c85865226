//! What `--help` says: for both systems, and the same that the program does.

use super::process::{mqlake, run};

#[test]
fn every_command_explains_itself_for_both_systems() {
    let home = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 10] = [
        (
            &[],
            &["QMQ and RocketMQ", "--system rocketmq", "--qmq-conf DIR", "Exit codes: 0 done", "mqlake demo"],
        ),
        (&["import"], &["commitlog/", "messagelog/", "indexlog/", "interrupted at any point", "--system"]),
        (
            &["serve"],
            &["[[rocketmq]]", "[[qmq]]", "/api/v1", "/api/message", "/readyz", "second ends the process"],
        ),
        (&["status"], &["Exits with 1", "with 4", "--url"]),
        (&["sql"], &["SHOW TABLES", "DESCRIBE", "--format"]),
        (&["verify"], &["Exits with 1", "--json"]),
        (&["seek"], &["QMQ", "RocketMQ needs no such command", "next-segment"]),
        (&["config"], &["print", "check"]),
        (&["config", "check"], &["Check all settings"]),
        (&["demo"], &["have no effect", "--data", "--listen"]),
    ];
    for (command, says) in cases {
        let mut with_help = command.to_vec();
        with_help.push("--help");
        let ended = run(mqlake(home.path(), &with_help));
        assert_eq!(ended.code, Some(0), "{command:?}");
        let text = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in says {
            assert!(text.contains(part), "{command:?}: {part}\n{}", ended.out);
        }
    }
}
