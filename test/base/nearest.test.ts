import test from 'ava'
import { nearestName, nearestPaths } from '../../lib/base/nearest.js'

test('the name that was meant, where one is near', (t) => {
  const names = ['explain', 'batch', 'report', 'layers', 'doctor']
  for (const [requested, meant] of [
    ['explian', 'explain'],
    ['LAYER', 'layers'],
    ['docter', 'doctor'],
    ['batch', 'batch'],
    ['x', null],
    ['', null],
    ['something else', null],
  ] as const)
    t.is(nearestName(requested, names), meant, requested)
  t.is(nearestName('any', []), null)
})

test('a short name that is too far does not hide a longer one that is near enough', (t) => {
  // Both differ in three characters, which is much for a name of three and little for one of nine.
  t.is(nearestName('abcdefxyz', ['abcdefghi']), 'abcdefghi')
  t.is(nearestName('xyz', ['abc', 'xyzabcdef']), null)
})

test('paths that end in what was asked for come first, then the most similar ones', (t) => {
  const paths = ['features', 'features.0', 'features.layer1.conv2', 'conv', 'classifier', 'conv1.conv2']
  t.deepEqual(nearestPaths('conv2', paths), ['conv1.conv2', 'features.layer1.conv2', 'conv'])
  t.deepEqual(nearestPaths('feature', paths, 2), ['features', 'features.0'])
  t.deepEqual(nearestPaths('anything', []), [])
  t.is(nearestPaths('', paths).length, 3)
})

test('paths are compared by their components from the end, as Python writes them, too', (t) => {
  const paths = ['features', 'layer4', 'layer4.0', 'layer4.1', 'layer4.2', 'layer4.2.relu', 'xlayer4.2']
  for (const [requested, meant] of [
    ['module.layer4.1', 'layer4.1'],
    ['model.layer4.2.relu', 'layer4.2.relu'],
    ['layer4[-1]', 'layer4.2'],
    ['model.layer4[-1].relu', 'layer4.2.relu'],
    ['layer4[1]', 'layer4.1'],
    ['layer4/1', 'layer4.1'],
    ['.layer4.1.', 'layer4.1'],
    ['relu', 'layer4.2.relu'],
    ['module.Layer4.1', 'layer4.1'],
  ] as const)
    t.is(nearestPaths(requested, paths)[0], meant, requested)
})
