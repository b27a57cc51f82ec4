/** What to do before anything else works. */
export const NO_CONFIG =
  'No configuration yet, so nothing can be backed up. Write one: pbm config --file pbm.yaml (storage: {type: filesystem, filesystem: {path: /backups}})'
