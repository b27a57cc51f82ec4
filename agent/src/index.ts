export { Agent, type AgentOptions } from './agent.js'
export { loadSettings, type Settings } from './settings.js'
