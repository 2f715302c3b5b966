//! Power cuts before any step of the disk: what was promised is kept, what is visible is whole, and what is
//! sent again is there once. And without any one sync of the code, that does not hold.

use std::collections::{BTreeMap, BTreeSet};

use super::power_scenarios::{Promised, SCENARIOS, Scenario, World, from_the_start};
use super::resume::bring;
use super::simulated_disk::{Cut, IMAGES, SimulatedDisk, Site};
use super::*;

/// Runs a scenario, and what may be found after each cut; where its syncs are.
fn survives(scenario: &Scenario, omitted: Option<Site>) -> Result<BTreeSet<Site>, String> {
    let world = World { disk: SimulatedDisk::without(omitted), files: (scenario.files)() };
    (scenario.run)(&world);
    for cut in world.disk.take_cuts() {
        for (number, image) in IMAGES.into_iter().enumerate() {
            world.disk.restore(&cut, image, &mut (number as u64));
            check(scenario, &world, &cut).map_err(|words| {
                format!("{}, cut before {}, {image:?} found: {words}", scenario.name, cut.at)
            })?;
        }
    }
    Ok(world.disk.sites())
}

/// Whether what is found after a cut is as it has to be, and everything can be sent again.
fn check(scenario: &Scenario, world: &World, cut: &Cut<Promised>) -> Result<(), String> {
    let dir = world.disk.dir();
    let inbox = Inbox::open_on(Disk::rebooted(), &dir, power_scenarios::options())
        .map_err(|error| format!("the inbox does not open: {error}"))?;
    let Promised { stored, durable, directories, is_anew } = &cut.promised;
    if let Some(missing) = directories.iter().find(|directory| !dir.join(directory).is_dir()) {
        return Err(format!("the directory {missing} is not there"));
    }
    let mut found = Vec::new();
    list(&dir, "", &mut found);
    let known = |content: &Vec<u8>| world.files.iter().any(|(_, known)| known == content);
    let wrong = found.iter().find(|(name, content)| !name.ends_with('/') && !known(content));
    if let Some((name, _)) = wrong
        && !scenario.careless_before
    {
        return Err(format!("{name} is not whole"));
    }
    for (which, receipt) in stored {
        if fs::read(dir.join(&receipt.name)).ok().as_ref() != Some(&world.files[*which].1) {
            return Err(format!("{} was stored, and is not there", receipt.name));
        }
    }
    for (which, told) in durable.iter().filter(|(which, _)| !stored.contains_key(which)) {
        if let Ok(OfferResponse::Accepted(upload)) = inbox.offered(&world.files[*which].0)
            && upload.durable() < *told
        {
            return Err(format!("{} bytes are there of {told}", upload.durable()));
        }
    }
    if scenario.careless_before {
        for (which, told) in stored {
            match inbox.offered(&world.files[*which].0).map_err(|refusal| refusal.to_string())? {
                OfferResponse::Stored(receipt) if receipt == *told => {}
                _ => return Err(format!("{} would be stored twice", told.name)),
            }
        }
        return Ok(());
    }
    for (which, (offer, content)) in world.files.iter().enumerate() {
        // Until it is accepted, the sender goes on to begin it anew.
        let begins = scenario.name == "begun anew" && !is_anew;
        let offer = &if begins { from_the_start(offer) } else { offer.clone() };
        match (inbox.offered(offer).map_err(|refusal| refusal.to_string())?, stored.get(&which)) {
            (OfferResponse::Stored(receipt), Some(told)) if receipt == *told => {}
            (_, Some(told)) => return Err(format!("{} would be stored twice", told.name)),
            (OfferResponse::Accepted(upload), None) => {
                bring(&upload, content);
                wait(&upload.commit(content.len() as u64, None))
                    .map_err(|refusal| format!("{:?} cannot be sent: {refusal}", offer.name))?;
            }
            (OfferResponse::Stored(_), None) => {}
            (other, None) => return Err(format!("{other:?}")),
        }
    }
    let mut files = Vec::new();
    list(&dir, "", &mut files);
    files.retain(|(name, _)| !name.ends_with('/'));
    if let Some((name, _)) = files.iter().find(|(_, content)| !known(content)) {
        return Err(format!("{name} was resumed, and is a wrong file"));
    }
    if files.len() != world.files.len() {
        let names: Vec<_> = files.into_iter().map(|(name, _)| name).collect();
        return Err(format!("there are copies: {names:?}"));
    }
    Ok(())
}

#[test]
fn a_power_cut_before_any_step_takes_nothing_that_was_promised() {
    for scenario in SCENARIOS {
        survives(scenario, None).unwrap();
    }
}

#[test]
fn each_sync_in_the_code_is_needed() {
    let mut sites: BTreeMap<Site, Vec<&Scenario>> = BTreeMap::new();
    for scenario in SCENARIOS {
        let world = World { disk: SimulatedDisk::without(None), files: (scenario.files)() };
        (scenario.run)(&world);
        for site in world.disk.sites() {
            sites.entry(site).or_default().push(scenario);
        }
    }
    for (site, scenarios) in &sites {
        let lost = scenarios.iter().find_map(|scenario| survives(scenario, Some(*site)).err());
        let lost = lost.unwrap_or_else(|| panic!("nothing is lost without the sync at {site:?}"));
        println!("{}:{}: {lost}", site.0, site.1);
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(sites.len(), syncs_in(&source), "no scenario comes by some of the syncs");
}

/// How many calls of the disk's syncs there are in the code below a directory, tests aside.
fn syncs_in(directory: &Path) -> usize {
    let count = |path: PathBuf| match path.file_name().unwrap().to_str().unwrap() {
        "tests" | "tests.rs" | "disk" | "disk.rs" => 0,
        _ if path.is_dir() => syncs_in(&path),
        name => {
            let text = fs::read_to_string(&path).unwrap();
            // Those of layout.rs go by a function of it.
            let calls = match name {
                "layout.rs" => ["    sync(disk, ", "disk.sync_all("],
                _ => ["disk.sync(Step::", "disk.sync_all("],
            };
            calls.iter().map(|call| text.matches(call).count()).sum()
        }
    };
    fs::read_dir(directory).unwrap().map(|entry| count(entry.unwrap().path())).sum()
}
