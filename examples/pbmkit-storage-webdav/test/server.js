// A real WebDAV server over a folder, as a program of its own: its memory is not that of the tests.
import { createServer } from 'node:http'
import { v2 as webdav } from 'webdav-server'

const [, , folder, port = '0'] = process.argv
const server = new webdav.WebDAVServer({ requireAuthentification: false })
await server.setFileSystemAsync('/dav', new webdav.PhysicalFileSystem(folder))
const http = createServer((request, response) => server.executeRequest(request, response))
http.listen(Number(port), '127.0.0.1', () => {
  process.send?.(http.address().port)
  console.log(`http://127.0.0.1:${http.address().port}/dav`)
})
process.on('disconnect', () => process.exit())
