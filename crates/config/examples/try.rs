//! x
fn main(){ let p=std::env::args().nth(1).unwrap(); match mantlet_config::load(std::path::Path::new(&p), &mantlet_config::ProcessEnvironment) { Ok(s)=>println!("{s:#?}"), Err(e)=>println!("{e}") } }
