// `jco run` has no option for folders, but imports this before the component starts:
//
//   SANDPORT_MOUNT=./inbox jco run --jco-import mount.mjs sandport-standalone.wasm
//
// It mounts the folder that SANDPORT_MOUNT names as /inbox, and nothing else.
import { _setPreopens } from '@bytecodealliance/preview2-shim/filesystem';

_setPreopens({ '/inbox': process.env.SANDPORT_MOUNT ?? 'inbox' });
