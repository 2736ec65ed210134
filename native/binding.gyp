# For node-gyp, where there is no CMake. It lies here because npm would run one that lies beside package.json by itself.
# What was found on the machine, and the lists of sources and flags, come from lib/setup/build-with.ts in found.gypi.
{
  'includes': ['found.gypi'],
  'targets': [
    {
      'target_name': 'gradcam',
      'sources': ['<@(sources)'],
      'include_dirs': ['native'],
      'defines': ['<@(defines)'],
      'cflags_cc': ['<@(flags)'],
      'libraries': ['<@(libraries)'],
      'conditions': [
        ['OS=="linux"', {
          # See CMakeLists.txt for the reasons.
          'ldflags': ['<@(link_flags)', '-Wl,-z,nodelete', '-Wl,--disable-new-dtags', '-Wl,-rpath,<(libtorch_lib)'],
        }],
        ['OS=="mac"', {
          'xcode_settings': {
            'OTHER_CPLUSPLUSFLAGS': ['<@(flags)'],
            'OTHER_LDFLAGS': ['<@(link_flags)', '-Wl,-rpath,<(libtorch_lib)'],
          },
        }],
      ],
    },
  ],
}
