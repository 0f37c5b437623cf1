//! scratch
use mantlet_sandbox::{egress::*, package::*, *};
use std::sync::Arc;
struct W;
impl Witness for W {
    fn saw(&self, e: Event) {
        if e.is_breach() || std::env::var_os("V").is_some() {
            eprintln!("EVENT {e:?}");
        }
    }
}
fn main() {
    if std::env::args_os().nth(1).is_some_and(|a| a == HELPER) {
        std::process::exit(i32::from(help()));
    }
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let store = args.remove(0);
    let server = args.remove(0);
    let machine = Machine {
        path: std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect(),
        home: std::env::var_os("HOME").map(Into::into),
        directory: std::env::current_dir().unwrap(),
    };
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        let limits = Limits::default();
        let ask = Ask {
            argv: &args,
            server: &server,
            machine: &machine,
            variable: &|n: &str| std::env::var(n).ok(),
            further: &[],
            limits: &limits,
            networked: false,
        };
        let t = std::time::Instant::now();
        let launch = match prepare(&ask, &Store::new(store.into()).within(std::time::Duration::from_secs(std::env::var("LIMIT").map_or(300, |v| v.parse().unwrap()))), Arc::new(W)).await {
            Ok(l) => l,
            Err(e) => {
                eprintln!("FAILED after {:?}: {e}", t.elapsed());
                return;
            }
        };
        eprintln!("{:?} {launch:#?}", t.elapsed());
        let mut spec = Spec::new(args.clone());
        match &launch {
            Launch::Package(p) => p.apply(&mut spec),
            _ => return,
        }
        eprintln!("settle: {:?}", settle(&mut spec, &machine));
        eprintln!(
            "program {:?} argv {:?} runtime {:?} links {:?} path {:?}",
            spec.program, spec.argv, spec.runtime, spec.links, spec.path
        );
        let (mut child, mut cage) = start(
            &spec,
            Streams {
                input: std::process::Stdio::inherit(),
                output: std::process::Stdio::inherit(),
                errors: std::process::Stdio::inherit(),
            },
            false,
        )
        .unwrap();
        cage.stands().await.unwrap();
        let _doors = cage.doors();
        loop {
            match cage.said().await.unwrap() {
                Some(Said::Saw(e)) => eprintln!("EVENT {e:?}"),
                Some(Said::Ended(c)) => {
                    eprintln!("ended {c}");
                    break;
                }
                None => {
                    eprintln!("gone");
                    break;
                }
            }
        }
        drop(cage);
        child.wait().await.unwrap();
    });
}
