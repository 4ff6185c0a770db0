//! Data files, shared by all virtual users, and random choices that a seed repeats.

use crate::harness::Loadr;

const USERS: &str = "name,password\nann,a1\nbob,b2\n\"eve, the third\",\"c\"\"3\"\n";

#[test]
fn rows_are_found_by_vu_and_by_column() {
    let script = r#"
        const options = #{ scenarios: #{ a: #{ executor: "per-vu-iterations", vus: 4, iterations: 1 } } };
        const USERS = data::csv("data/users.csv");
        const ITEMS = data::json("items.json");
        const WORDS = data::lines("words.txt");
        fn journey(vu) {
            let user = USERS.row(vu.id);
            print(`${vu.id} ${user.name} ${user.password} ${user["name"]} ${user[0]} ${USERS.len} ${ITEMS[1].price} ${WORDS[-1]}`);
        }
    "#;
    let ran = Loadr::script(script)
        .file("data/users.csv", USERS)
        .file("items.json", r#"[{"price": 1.5}, {"price": 2}]"#)
        .file("words.txt", "red\n\ngreen\n")
        .flags("--allow-failure --threads 2")
        .run()
        .expect(0);
    let mut prints = ran.prints();
    prints.sort_unstable();
    let expected = [
        "1 bob b2 bob bob 3 2 green",
        "2 eve, the third c\"3 eve, the third eve, the third 3 2 green",
        "3 ann a1 ann ann 3 2 green",
        "4 bob b2 bob bob 3 2 green",
    ];
    assert_eq!(prints, expected, "{ran}");
}

#[test]
fn next_gives_every_row_in_turn_over_all_vus_and_threads() {
    let script = r#"
        const LINES = data::lines("lines.txt");
        fn journey() { print(LINES.next()); }
    "#;
    let lines: String = (0..50).map(|n| format!("line {n:02}\n")).collect();
    let ran = Loadr::script(script)
        .file("lines.txt", &lines)
        .flags("-u 5 -i 100 --threads 2 --allow-failure")
        .run()
        .expect(0);
    let mut prints = ran.prints();
    prints.sort_unstable();
    let mut expected: Vec<&str> = lines.lines().chain(lines.lines()).collect();
    expected.sort_unstable();
    assert_eq!(prints, expected);
}

#[test]
fn unique_gives_each_row_once_and_then_fails() {
    let script = r#"
        const LINES = data::lines("lines.txt");
        fn journey() { print(LINES.unique()); check(1, #{ one: |n| n == 1 }); }
    "#;
    let ran = Loadr::script(script).file("lines.txt", "a\nb\nc\nd\n").flags("-u 2 -i 6 --threads 2").run().expect(0);
    let mut prints = ran.prints();
    prints.sort_unstable();
    assert_eq!(prints, ["a", "b", "c", "d"], "{ran}");
    assert_eq!((ran.count("iterations_failed"), ran.rate("checks")), (2.0, (4, 0)));
    assert!(ran.error(2000).message.contains("lines.txt"), "{ran}");
}

#[test]
fn files_that_are_missing_or_broken_are_errors_of_init() {
    for (call, part) in [
        ("data::csv(\"none.csv\")", "none.csv"),
        ("data::json(\"broken.json\")", "broken.json"),
        ("data::json(\"map.json\")", "map.json"),
        ("data::csv(\"ragged.csv\")", "ragged.csv"),
    ] {
        let ran = Loadr::script(&format!("const X = {call};\nfn journey() {{}}"))
            .file("broken.json", "[1, ")
            .file("map.json", "{}")
            .file("ragged.csv", "a,b\n1,2\n3\n")
            .run()
            .expect(107);
        assert!(ran.stderr.contains(part) && ran.stderr.contains("script.rhai:1:"), "{call}\n{ran}");
    }
}

/// Says what chance gives each VU and iteration.
const CHANCE: &str = r#"
    const options = #{ scenarios: #{ a: #{ executor: "per-vu-iterations", vus: 4, iterations: 3 } } };
    const LINES = data::lines("lines.txt");
    fn journey(vu) {
        print(`${vu.id} ${vu.iteration} ${random::int(1, 1000000)} ${random::pick(["a", "b", "c"])} ${random::uuid()} ${LINES.random()} ${random::float()}`);
    }
"#;

#[test]
fn one_seed_makes_the_same_choices_for_the_same_vu_and_iteration() {
    let choices = |flags: &str| {
        let command = Loadr::script(CHANCE).file("lines.txt", "x\ny\nz\nw\n").flags(flags).flags("--allow-failure");
        let ran = command.run().expect(0);
        let mut prints: Vec<String> = ran.prints().iter().map(|line| (*line).to_owned()).collect();
        prints.sort_unstable();
        assert_eq!(prints.len(), 12, "{ran}");
        prints
    };
    let first = choices("--seed 42 --threads 1");
    assert_eq!(first, choices("--seed 42 --threads 2"), "threads make no difference");
    let other = choices("--seed 43");
    assert!(first.iter().zip(&other).all(|(one, two)| one != two), "another seed, other choices");
    let without_place = |line: &String| line.splitn(3, ' ').nth(2).map(str::to_owned);
    let mut distinct: Vec<_> = first.iter().map(without_place).collect();
    distinct.dedup();
    assert_eq!(distinct.len(), 12, "VUs and iterations differ from each other");
}

#[test]
fn the_seed_can_come_from_the_script_and_is_told() {
    let script = format!("{}\nfn unused() {{}}", CHANCE.replace("#{ scenarios:", "#{ seed: 42, scenarios:"));
    let run = |script: &str, flags: &str| {
        let ran = Loadr::script(script)
            .file("lines.txt", "x\ny\nz\nw\n")
            .flags(flags)
            .flags("--allow-failure")
            .run()
            .expect(0);
        let mut prints: Vec<String> = ran.prints().iter().map(|line| (*line).to_owned()).collect();
        prints.sort_unstable();
        (ran.report().run.seed, prints)
    };
    let of_script = run(&script, "");
    assert_eq!(of_script.0, 42);
    assert_eq!(of_script, run(CHANCE, "--seed 42"));
    assert_eq!(run(&script, "--seed 7").0, 7);
}

#[test]
fn what_came_of_chance_can_be_repeated_by_the_seed_that_was_told() {
    let ran = Loadr::script(CHANCE).file("lines.txt", "x\ny\n").flags("--allow-failure").run().expect(0);
    let seed = ran.report().run.seed;
    let again = Loadr::script(CHANCE)
        .file("lines.txt", "x\ny\n")
        .flags(&format!("--allow-failure --seed {seed}"))
        .run()
        .expect(0);
    let (mut one, mut two) = (ran.prints(), again.prints());
    one.sort_unstable();
    two.sort_unstable();
    assert_eq!(one, two);
}
