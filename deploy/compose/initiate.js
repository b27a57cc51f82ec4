// Run by mongosh: makes the replica set and the user of the agents, once.
/* global connect, process, sleep */
const { ROOT_PASSWORD, PBM_PASSWORD } = process.env
const admin = connect(`mongodb://root:${ROOT_PASSWORD}@mongo1/admin?directConnection=true`)
const members = ['mongo1', 'mongo2', 'mongo3'].map((name, _id) => ({ _id, host: `${name}:27017` }))
try {
  admin.adminCommand({ replSetInitiate: { _id: 'rs0', members } })
} catch (error) {
  if (error.codeName !== 'AlreadyInitialized') throw error
}
const set = connect(`mongodb://root:${ROOT_PASSWORD}@mongo1,mongo2,mongo3/admin?replicaSet=rs0`)
while (!set.hello().isWritablePrimary) sleep(500)
// Its roles come from `pbm setup-roles --grant`.
if (set.getUser('pbm') === null) set.createUser({ user: 'pbm', pwd: PBM_PASSWORD, roles: [] })
else set.changeUserPassword('pbm', PBM_PASSWORD)
