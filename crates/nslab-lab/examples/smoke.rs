use nslab_lab::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let launcher = || std::process::Command::new("true");
    let labs = Labs { paths: Paths::default(), launcher: &launcher, observer: &|_| {}, waiting: &|| eprintln!("waiting"), one_by_one: false };
    if args[1] == "down" { println!("{:?}", labs.down(&args[2])); return; }
    let src = std::fs::read_to_string(&args[2]).unwrap();
    let t = std::time::Instant::now();
    let l = nslab_topology::load(&src, &args[2], &[]).unwrap_or_else(|e| { println!("{e}"); panic!() });
    eprintln!("load {:?}", t.elapsed());
    
    let w = labs::Wanted { lab: l.lab, topology: l.topology, file: None, directory: "/".into() };
    match &args[1][..] {
        "plan" => { let p = labs.plan(&w).unwrap(); for s in p.steps() { println!("{}", p.describe(s)); } println!("{} {:?} {:?}", p.len(), p.notes, p.conflicts); }
        "shell" => println!("{}", labs.plan(&w).unwrap().shell()),
        "up" => match labs.up(&w) { Ok(b) => println!("new {} steps {} time {:?}", b.new, b.steps, b.time), Err(e) => println!("{e} {e:?}") },
        _ => {}
    }
}
