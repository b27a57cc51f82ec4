import type { DemoOptions } from './demo.js'

/** How to do the same on a replica set of one's own. */
export function farewell({ isPhysical }: DemoOptions): string {
  return `
The same on your own replica set, from this folder:

  1. Create the roles, and in mongosh on the primary a user for the agents and the command line:

     npx pbm setup-roles --create${isPhysical ? ' --physical' : ''} --mongodb-uri 'mongodb://ADMIN:PASSWORD@HOST:27017/?replicaSet=NAME'
     db.getSiblingDB('admin').createUser({ user: 'pbmuser', pwd: passwordPrompt(),
       roles: ['pbmkitAgent', 'pbmkitOperator'] })

  2. Beside every mongod, start an agent for it:

     PBM_MONGODB_URI='mongodb://pbmuser:PASSWORD@127.0.0.1:27017/?authSource=admin' npx pbm-agent

  3. Tell where backups go (a folder that all of these machines share), back up, restore:

     export PBM_MONGODB_URI='mongodb://pbmuser:PASSWORD@HOST:27017/?authSource=admin&replicaSet=NAME'
     printf 'storage: {type: filesystem, filesystem: {path: /backups}}' | npx pbm config --file -
     npx pbm backup${isPhysical ? ' --type physical' : ''} --wait
     npx pbm list
     npx pbm restore BACKUP_NAME --wait

`
}
